import { pMapIterable } from 'p-map';
import { turns } from '../runtime/turns.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type Edge, edgeFile } from './edges.ts';
import { sectionPlace } from './hash-file.ts';
import { type Resolved, resolve } from './resolve.ts';

/** Where workers that look for duplicates hand to one another what they found. */
export interface CompareKeys {
  /** Hashes of part n, cut by partition. */
  hashes(n: number): string;
  /** Duplicates that partition k found. */
  edges(k: number): string;
  /** Of part n: which of its examples go, and whose texts come to it. */
  fates(n: number): string;
  joined(n: number): string;
}

/** Ranges that are asked for side by side. */
const rangesAtOnce = 16;

/** What compares the records of all parts for one partition: `Partition`, and that of embeddings. */
export interface Comparing {
  add(section: Buffer): void | Promise<void>;
  /** The duplicates, once all sections are added. */
  found(): Edge[] | Promise<Edge[]>;
}

/**
 * Compares what all parts have for one partition, two small ranges of each, and keeps the duplicates that are found. Parts are
 * added in their order; doing it again keeps the same bytes.
 *
 * @param counts examples of each part
 */
export async function comparePartition(
  store: Pick<ObjectStore, 'get' | 'put'>,
  keys: Pick<CompareKeys, 'hashes' | 'edges'>,
  counts: readonly number[],
  k: number,
  partition: Comparing,
  onPart: (done: number) => void,
): Promise<void> {
  const sections = pMapIterable(
    Array.from(counts.keys()),
    async (part) => {
      const [offset, size] = sectionPlace(await store.get(keys.hashes(part), { offset: 4 * k, size: 8 }));
      return store.get(keys.hashes(part), { offset, size });
    },
    { concurrency: rangesAtOnce },
  );
  const turn = turns();
  let parts = 0;
  for await (const section of sections) {
    await partition.add(section);
    onPart(++parts);
    await turn();
  }
  await store.put(keys.edges(k), edgeFile(await partition.found(), counts));
}

/**
 * Settles which examples go from what all partitions found, and writes it by part.
 *
 * @param folder of the local disk; four bytes an example
 */
export async function settleDuplicates(
  store: Pick<ObjectStore, 'get' | 'put'>,
  keys: CompareKeys,
  counts: readonly number[],
  partitions: number,
  folder: string,
  onPut: (key: string) => void,
): Promise<Resolved> {
  const edgesOf = (window: number) =>
    pMapIterable(
      Array.from({ length: partitions }, (_, k) => keys.edges(k)),
      async (key) => {
        const [offset, size] = sectionPlace(await store.get(key, { offset: 4 * window, size: 8 }));
        return store.get(key, { offset, size });
      },
      { concurrency: rangesAtOnce },
    );
  const put = async (key: string, records: Buffer) => {
    onPut(key);
    await store.put(key, records);
  };
  const output = {
    fates: (part: number, records: Buffer) => put(keys.fates(part), records),
    joined: (part: number, records: Buffer) => put(keys.joined(part), records),
  };
  return resolve(counts, edgesOf, output, folder);
}
