import { type FilterDocument, parseFilterDocument } from '../data/index/filter-document.ts';
import { isRunnerError } from '../runtime/errors.ts';
import type { ObjectInfo, ObjectStore } from '../storage/object-store.ts';
import type { FilterKeys } from './keys.ts';

/**
 * The document of this very filter, where each of its weights lies there as it says; null: it has yet to be made, or to be made
 * again. It costs a listing of the weights.
 */
export async function madeFilter(
  store: Pick<ObjectStore, 'get' | 'list'>,
  keys: Pick<FilterKeys, 'root' | 'document'>,
): Promise<FilterDocument | null> {
  const text = await store.get(keys.document).catch((error) => {
    if (isRunnerError(error, 'ObjectMissing')) return null;
    throw error;
  });
  const document = text && parseFilterDocument(text.toString('utf8'));
  if (!document) return null;
  const there = await storedWeights(store, keys);
  const isThere = ({ weights: { key, bytes, etag } }: FilterDocument['shards'][number]) => {
    const found = there.get(key);
    return found?.bytes === bytes && found.etag === etag;
  };
  return document.shards.every(isThere) ? document : null;
}

/** Weights of a filter that lie in the bucket, by their keys. */
export async function storedWeights(
  store: Pick<ObjectStore, 'list'>,
  { root }: Pick<FilterKeys, 'root'>,
): Promise<Map<string, ObjectInfo>> {
  const found = new Map<string, ObjectInfo>();
  for await (const info of store.list(root)) if (info.key.endsWith('.weights')) found.set(info.key, info);
  return found;
}
