import pMap from 'p-map';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { licences } from './licences.ts';

export interface MadeShard {
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** What `dataset.json` says of a set that was made. */
interface Made {
  readonly shards: readonly MadeShard[];
  /** Hash of everything that the bytes depend on. */
  readonly inputs: string;
}

/**
 * The set that the record at `prefix`/dataset.json speaks of, if its inputs are these and its shards are there;
 * otherwise it is made, with the notices beside it, and shards that an older one left are deleted.
 */
export async function makeOnce<T extends Made>(
  store: ObjectStore,
  prefix: string,
  inputs: string,
  make: () => Promise<Omit<T, 'inputs'>>,
): Promise<{ set: T; already: boolean }> {
  const recordKey = `${prefix}/dataset.json`;
  const before = await readRecord<T>(store, recordKey);
  if (before?.inputs === inputs && (await allThere(store, before))) return { set: before, already: true };
  const set = { ...(await make()), inputs } as T;
  await store.put(`${prefix}/LICENSES.md`, licences(), { contentType: 'text/markdown; charset=utf-8' });
  // Shards of an older set would be read as data of this one.
  const keys = new Set(set.shards.map(({ key }) => key));
  for (const { key } of before?.shards ?? []) if (!keys.has(key)) await store.delete(key);
  await store.put(recordKey, JSON.stringify(set, null, 2), { contentType: 'application/json' });
  return { set, already: false };
}

async function readRecord<T>(store: ObjectStore, key: string): Promise<T | null> {
  if (!(await store.head(key))) return null;
  return JSON.parse((await store.get(key)).toString('utf8')) as T;
}

async function allThere(store: ObjectStore, { shards }: Made): Promise<boolean> {
  const heads = await pMap(shards, ({ key }) => store.head(key), { concurrency: 8 });
  return shards.every(({ bytes }, i) => heads[i]?.bytes === bytes);
}
