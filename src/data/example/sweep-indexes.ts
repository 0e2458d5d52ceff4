import pMap from 'p-map';
import { isRunnerError } from '../../runtime/errors.ts';
import { canonicalJson } from '../../runtime/hash.ts';
import { isRecord } from '../../runtime/json-text.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { headerBytes, largestHeader, shardOfIndex } from '../index/index-object.ts';
import type { StoredIndex } from '../index/types.ts';
import { shardOfBits } from './shard-bits.ts';
import { spokenKind } from './spoken-lists.ts';
import { tokenSetKind } from './token-set.ts';

export interface SweptIndexes {
  /** Indexes and token sets that were looked at, and those that were deleted. */
  readonly looked: number;
  readonly deleted: readonly string[];
  /** Those whose shard is gone or has changed, and that stay since a run names it. */
  readonly named: number;
}

/** Of most objects the header is within the first bytes. */
const firstRead = 4 * 1024;
const askedAtOnce = 32;

/**
 * Deletes indexes and token sets whose shard is gone or has other bytes now, older than `graceMs`, unless the document of a
 * run names that shard as it was. Nothing that can be used is lost, whoever is at work: who needs one of a shard that was put
 * back meanwhile makes it again. It costs a small read an object, and reads the documents of runs where something is to go.
 */
export async function sweepIndexes(
  store: ObjectStore,
  { graceMs }: { readonly graceMs: number },
): Promise<SweptIndexes> {
  const old = Date.now() - graceMs;
  const keys: string[] = [];
  for await (const { key, modified } of store.list('indexes/'))
    if (/\.(index|tokens|languages)$/.test(key) && modified.getTime() <= old) keys.push(key);
  const now = new Map<string, Promise<string | null>>();
  const etagNow = (key: string) => {
    // Asked twice before it counts as gone.
    const known = now.get(key) ?? store.head(key).then(async (one) => (one ?? (await store.head(key)))?.etag ?? null);
    now.set(key, known);
    return known;
  };
  const stale = new Map<string, string>();
  await pMap(
    keys,
    async (key) => {
      const shard = await shardOf(store, key);
      if (shard && (await etagNow(shard.key)) !== shard.etag) stale.set(key, nameOf(shard.key, shard.etag));
    },
    { concurrency: askedAtOnce },
  );
  const named = stale.size === 0 ? new Set<string>() : await namedBy(store, new Set(stale.values()));
  const deleted = [...stale].flatMap(([key, shard]) => (named.has(shard) ? [] : [key])).sort();
  await pMap(deleted, (key) => store.purge(key), { concurrency: askedAtOnce });
  return { looked: keys.length, deleted, named: stale.size - deleted.length };
}

const nameOf = (key: string, etag: string) => canonicalJson([key, etag]);

/** What an object says that it is of; null where it is none of this release: then it stays. */
async function shardOf(store: ObjectStore, key: string): Promise<{ key: string; etag: string } | null> {
  const read = (size: number) => unlessGone(() => store.get(key, { offset: 0, size }));
  let start = await read(firstRead);
  if (start && (headerBytes(start) ?? 0) > start.length) start = await read(2 * largestHeader);
  if (!start || key.endsWith('.index')) return start && shardOfIndex(start);
  return shardOfBits(key.endsWith('.tokens') ? tokenSetKind : spokenKind, start);
}

/** Which of some shards the documents of runs name. */
async function namedBy(store: ObjectStore, wanted: ReadonlySet<string>): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for await (const { key } of store.list('runs/')) {
    if (!/^runs\/[^/]+\/data\/[^/]*index-[0-9a-f]+\.json$/.test(key)) continue;
    const text = await unlessGone(() => store.get(key));
    for (const shard of text ? shardsIn(text.toString()) : [])
      if (wanted.has(nameOf(shard.key, shard.etag))) found.add(nameOf(shard.key, shard.etag));
  }
  return found;
}

function shardsIn(text: string): { readonly key: string; readonly etag: string }[] {
  const shardsOf = (index: StoredIndex): { readonly key: string; readonly etag: string }[] =>
    'mixture' in index ? index.mixture.flatMap(({ index }) => shardsOf(index)) : [...index.shards];
  try {
    const document: unknown = JSON.parse(text);
    return isRecord(document) ? shardsOf(document as unknown as StoredIndex) : [];
  } catch {
    return [];
  }
}

async function unlessGone(read: () => Promise<Buffer>): Promise<Buffer | null> {
  try {
    return await read();
  } catch (error) {
    if (isRunnerError(error, 'ObjectMissing')) return null;
    throw error;
  }
}
