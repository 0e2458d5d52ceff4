import { entriesAt } from '../data/index/entries-at.ts';
import { GapReader } from '../data/index/gap-reader.ts';
import type { ShardStore } from '../data/index/part-reader.ts';
import type { ByteRange, DataIndex, ShardFacts } from '../data/index/types.ts';
import { isRunnerError } from '../runtime/errors.ts';
import { sha256 } from '../runtime/hash.ts';
import { type Sample, sampled } from './tasks/sample.ts';

/** Pictures of a test set whose very file a model was trained on, as far as that was looked at. */
export interface TrainedOn {
  readonly pictures: number;
  /** Pictures of the test set that were held against the data of the run; the others only by their shard. */
  readonly compared: number;
  readonly of: number;
}

export interface TrainedOnLimits {
  /** Examples of a run whose sizes are read: each 1,000 are some 40 kB of indexes. */
  readonly examples: number;
  /** Of pictures that are read, since one of the other side has the same size. */
  readonly bytes: number;
}

const usual: TrainedOnLimits = { examples: 2_000_000, bytes: 1e9 };

interface Picture {
  readonly index: DataIndex;
  readonly shard: number;
  readonly range: ByteRange;
}

/**
 * How many pictures of a test set are in the data of a run, byte for byte. Pictures of a shard that is one of the run's are, and
 * of the others those are read that have the size of one of the run's. Where that would be much, `compared` says how few were.
 */
export async function trainedOn(
  store: ShardStore,
  runs: readonly DataIndex[],
  test: { readonly index: DataIndex; readonly sample: Sample },
  { examples, bytes }: TrainedOnLimits = usual,
): Promise<TrainedOn> {
  const nameOf = ({ key, etag }: ShardFacts) => JSON.stringify([key, etag]);
  const known = new Set(runs.flatMap(({ shards }) => shards.map(nameOf)));
  let shared = 0;
  const others = new Map<number, Picture[]>();
  for await (const one of picturesOf(test.index, test.sample)) {
    if (known.has(nameOf(test.index.shards[one.shard]!))) shared++;
    else push(others, one.range.size, one);
  }
  const of = test.sample.examples;
  if (runs.reduce((sum, one) => sum + one.examples, 0) > examples) return { pictures: shared, compared: shared, of };
  const sizes = new Set<number>();
  const hashes = new Set<string>();
  try {
    const candidates: Picture[] = [];
    let sum = 0;
    for (const index of runs)
      for await (const one of picturesOf(index)) {
        if (!others.has(one.range.size)) continue;
        candidates.push(one);
        sizes.add(one.range.size);
        sum += one.range.size;
        if (sum > bytes) return { pictures: shared, compared: shared, of };
      }
    for await (const hash of hashesOf(store, candidates)) hashes.add(hash);
  } catch (error) {
    // Data that a run was trained on may have gone or changed since: that is no reason to evaluate nothing.
    if (!isRunnerError(error, 'DataContract')) throw error;
    return { pictures: shared, compared: shared, of };
  }
  const alike = [...others.values()].flat().filter(({ range }) => sizes.has(range.size));
  let found = 0;
  for await (const hash of hashesOf(store, alike)) if (hashes.has(hash)) found++;
  return { pictures: shared + found, compared: of, of };
}

function push<K>(lists: Map<K, Picture[]>, key: K, one: Picture): void {
  const own = lists.get(key);
  if (own) own.push(one);
  else lists.set(key, [one]);
}

async function* picturesOf(index: DataIndex, sample?: Sample): AsyncGenerator<Picture> {
  const { of, examples, seed } = sample ?? { of: index.examples, examples: index.examples, seed: 0 };
  const numbers = function* () {
    for (let i = 0; i < examples; i++) yield sampled({ of, examples, seed }, i);
  };
  for await (const { shard, entry } of entriesAt(index, numbers())) yield { index, shard, range: entry.image };
}

/** In the order of their shards and places, whatever that of the pictures is. */
async function* hashesOf(store: ShardStore, pictures: readonly Picture[]): AsyncGenerator<string> {
  const byShard = new Map<string, Picture[]>();
  for (const one of pictures) {
    const { key, etag } = one.index.shards[one.shard]!;
    push(byShard, JSON.stringify([key, etag]), one);
  }
  for (const own of byShard.values()) {
    const [{ index, shard }] = own as [Picture];
    const reader = new GapReader(store, index.shards[shard]!);
    for (const { range } of own.sort((a, b) => a.range.offset - b.range.offset))
      yield sha256(await reader.read(range.offset, range.size));
  }
}
