import { readManifest } from '../src/checkpoint/manifest.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { SkippedMembers } from '../src/data/index/skipped-members.ts';
import type { Dependencies } from './dependencies.ts';
import type { PhasePlan } from './types/plan.ts';
import type { ShardResult } from './types/shard.ts';

/**
 * What the manifest of a checkpoint says for people: what its phase has not used of its data, and what steps were computed
 * with. Whoever can't read it goes on without.
 */
export async function toldBy(
  { store, log }: Dependencies,
  { run, phase, members }: PhasePlan,
  checkpoint: CheckpointRef,
): Promise<Pick<ShardResult, 'skipped' | 'filtered' | 'precision' | 'xla'>> {
  try {
    const { skipped, filtered, precision, xla } = (await readManifest(store, checkpoint)).manifest;
    const summary = new SkippedMembers(skipped).summary();
    return {
      ...(summary && { skipped: { ...summary, ...(members !== undefined && { of: members }) } }),
      ...(filtered && { filtered }),
      ...(precision && { precision, xla }),
    };
  } catch (error) {
    log.warn({ run, phase }, `what was not used could not be looked up: ${(error as Error).message}`);
    return {};
  }
}
