import { isRunnerError, type RunnerError } from '../../runtime/errors.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import {
  encodeIndex,
  headerBytes,
  type IndexHeader,
  indexKey,
  largestHeader,
  memberKinds,
  type ReadHeader,
  readHeader,
  readList,
} from './index-object.ts';
import { joinMembers, KindsSeen } from './members.ts';
import type { ShardStore } from './part-reader.ts';
import { readShard } from './read-shard.ts';
import type { CorruptMember, IndexedShard, ListedShard, MemberMapping, PixelKind } from './types.ts';

/** Of most shards header and list are within the first bytes that are asked for. */
const firstRead = 16 * 1024;

/** What an index says without its entries. */
export interface IndexFacts {
  readonly shard: ListedShard;
  readonly kinds: IndexHeader['kinds'];
  /** The first ones. */
  readonly corrupt: readonly CorruptMember[];
}

/** The facts of an index that lies in the bucket already, as one small read; null where none does, or a damaged one. */
export async function findIndex(
  store: ShardStore,
  shard: IndexedShard,
  read: MemberMapping | undefined,
  pixels: readonly PixelKind[] = [],
): Promise<IndexFacts | null> {
  const members = memberKinds(read, pixels);
  const key = indexKey(shard, members);
  try {
    let start = await store.get(key, { offset: 0, size: firstRead });
    const needed = headerBytes(start);
    if (needed === null) return null;
    if (needed > start.length) start = await store.get(key, { offset: 0, size: Math.min(needed, 2 * largestHeader) });
    const found = readHeader(start, shard, members);
    if (!found) return null;
    const { header } = found;
    const end = found.start + header.list;
    const list =
      end <= start.length
        ? start.subarray(found.start, end)
        : await store.get(key, { offset: found.start, size: header.list });
    return { shard: listedShard(found), kinds: header.kinds, corrupt: readList(list, header) };
  } catch (error) {
    if (isAbsent(error) || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Makes the index of a shard: what lies in the bucket under `indexKey`, as bytes. The same shard gives the same ones. */
export async function makeIndex(
  store: ShardStore,
  { key, bytes, etag }: IndexedShard,
  read: MemberMapping | undefined,
  pixels: readonly PixelKind[] = [],
): Promise<Buffer> {
  const { members, sha256 } = await readShard(store, { key, bytes, etag });
  const seen = new KindsSeen();
  for (const member of members) if ('offset' in member) seen.add(member.name);
  const { examples, corrupt } = await joinMembers(key, members, read, pixels);
  const shard = { key, bytes, etag, ...(sha256 !== undefined && { sha256 }) };
  return encodeIndex({ shard, members: memberKinds(read, pixels), kinds: seen.counts, examples, corrupt });
}

/**
 * Makes the index of a shard and keeps it for every run. Where none may be written, as with credentials that only read, it
 * is made again each time.
 */
export async function indexShard(
  store: ObjectStore,
  shard: IndexedShard,
  read: MemberMapping | undefined,
  pixels: readonly PixelKind[] = [],
): Promise<IndexFacts> {
  const object = await makeIndex(store, shard, read, pixels);
  const members = memberKinds(read, pixels);
  try {
    // The same bytes, whoever writes them; what is damaged is replaced.
    await store.put(indexKey(shard, members), object);
  } catch (error) {
    if (!isRefused(error)) throw error;
  }
  const found = readHeader(object, shard, members)!;
  const { header, start } = found;
  const corrupt = readList(object.subarray(start, start + header.list), header);
  return { shard: listedShard(found), kinds: header.kinds, corrupt };
}

/** Whether there is no index to be had, as far as these credentials reach. */
export const isAbsent = (error: unknown): boolean =>
  isRunnerError(error, 'ObjectMissing') || isRunnerError(error, 'DataContract') || isRefused(error);

export const isRefused = (error: unknown): error is RunnerError =>
  isRunnerError(error, 'CredentialsRefused') || isRunnerError(error, 'StorageRefused');

function listedShard({ header: { shard, examples, corrupt }, bytes, sha256 }: ReadHeader): ListedShard {
  return { ...shard, examples, corrupt, index: { bytes, sha256 } };
}
