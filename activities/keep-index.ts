import type { DataIndex } from '../src/data/index/types.ts';
import { canonicalBytes } from '../src/runtime/canonical-bytes.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import { keepDocument } from './documents.ts';
import type { IndexDocument } from './types.ts';

/** Keeps what a phase trains on in the bucket. */
export async function keepIndex(store: ObjectStore, run: string, { document }: DataIndex): Promise<IndexDocument> {
  const shards = document.shards.map(({ sha256: _, ...shard }) => shard);
  const { sha256: identity } = await canonicalBytes({ ...document, shards });
  return { ...(await keepDocument(store, run, 'train-index', document)), identity };
}
