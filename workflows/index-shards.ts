import { patched } from '@temporalio/workflow';
import type { FindShardsInput } from '../activities/types/indexing.ts';
import { activitiesBy } from './activities-by.ts';
import { indexingsAtOnce, indexingsOfOneHistory, lightOptions } from './policies.ts';

const { findShards, indexShards } = activitiesBy(lightOptions);

/**
 * Before something is planned the shards that have no index get one, and a set of their tokens where the run needs it, by as
 * many workers as there are; planning reads these alone. `onDone` is told how many of the shards are done. Few are left to planning itself.
 */
export async function indexed(
  input: FindShardsInput,
  onDone: (shards: number, of: number) => void = () => {},
): Promise<void> {
  // Runs of before this was written have their shards read by planning.
  if (!patched('indexed-shards')) return;
  const { document, texts, shards } = await findShards(input);
  if (!document) return;
  const chunk = Math.ceil(shards / indexingsOfOneHistory);
  let next = 0;
  let done = 0;
  async function lane(): Promise<void> {
    while (next < shards) {
      const from = next;
      next = Math.min(shards, from + chunk);
      await indexShards({ document: document!, ...(texts && { texts }), from, to: next });
      done += next - from;
      onDone(done, shards);
    }
  }
  await Promise.all(Array.from({ length: Math.min(indexingsAtOnce, Math.ceil(shards / chunk)) }, lane));
}
