import { comparePartition } from '../src/packing/compare.ts';
import { packKeys } from '../src/packing/keys.ts';
import { Partition } from '../src/packing/partition.ts';
import { outOf } from '../src/runtime/count-text.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import { readListing, readPackJson } from './pack-documents.ts';
import type { MergePartInput, MergePartResult } from './types/pack.ts';

/**
 * Compares the pictures of one partition of the hashes: two small ranges of each part. 100 million pictures are 10,000
 * parts and 1,000 partitions of 130 MB: 20 million requests and 130 GB in all, a tenth of reading the pictures once.
 */
export async function mergePart(
  { store }: Dependencies,
  input: MergePartInput,
  attempt: Attempt,
): Promise<MergePartResult> {
  const { settings, partition: k } = input;
  const keys = packKeys(settings.to);
  let doing = `comparing, partition ${k}`;
  const heart = beat(attempt, () => ({ doing }));
  try {
    // It is written once the edges are.
    const before = await readPackJson<MergePartResult>(store, keys.merged(k));
    if (before) return before;
    const { counts } = await readListing(store, settings);
    const partition = new Partition();
    await comparePartition(store, keys, counts, k, partition, (parts) => {
      attempt.signal.throwIfAborted();
      doing = `comparing, partition ${k}: ${outOf(parts, counts.length, 'part')}`;
    });
    const result = { edges: partition.edges.length, crowded: partition.crowded };
    await store.put(keys.merged(k), JSON.stringify(result), { contentType: 'application/json' });
    return result;
  } finally {
    heart.stop();
  }
}
