import { createHash } from 'node:crypto';
import { corruptIn, inlineShard } from '../src/data/index/open-index.ts';
import type { DataIndex } from '../src/data/index/types.ts';
import { canonicalBytes } from '../src/runtime/canonical-bytes.ts';
import { canonicalJson } from '../src/runtime/hash.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import { keepDocument } from './documents.ts';
import type { IndexDocument } from './types/plan.ts';

/** More examples had no place in an index of earlier versions. */
const mostInline = 5_300_000;

/** Keeps what a phase trains on in the bucket. `scored`: whether a teacher gives each example a score that is stored. */
export async function keepIndex(
  store: ObjectStore,
  run: string,
  index: DataIndex,
  { scored }: { readonly scored: boolean },
): Promise<IndexDocument> {
  const document = await keepDocument(store, run, 'train-index', index.document);
  // Versions of before had no mixtures.
  const identity = scored && !index.sources && !index.weights ? await identityOf(index) : null;
  return { ...document, ...(identity !== null && { identity }) };
}

/**
 * sha256 of the index as versions before 2 kept it, without the hashes of its shards: the scores that a run of before has
 * stored are found by it. Null where it had no place in such a one.
 */
async function identityOf(index: DataIndex): Promise<string | null> {
  const { prefix, fingerprint, examples, corrupt, read, shards } = index;
  if (examples > mostInline || corrupt.length < corruptIn(index)) return null;
  const hash = createHash('sha256');
  hash.update(canonicalJson({ corrupt, examples, fingerprint, prefix, ...(read && { read }) }).slice(0, -1));
  hash.update(',"shards":[');
  for (const number of shards.keys()) {
    const { sha256: _, ...shard } = await inlineShard(index, number);
    hash.update(number === 0 ? '' : ',');
    hash.update((await canonicalBytes(shard)).bytes);
  }
  return hash.update(']}').digest('hex');
}
