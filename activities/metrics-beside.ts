import { readCommit } from '../src/checkpoint/commits.ts';
import { keepMetrics } from '../src/checkpoint/metrics-document.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import type { Dependencies } from './dependencies.ts';

/** Writes `metrics.json` beside a checkpoint that was evaluated and is held. One that is gone needs no figures beside it. */
export async function metricsBeside(
  { store, log }: Pick<Dependencies, 'store' | 'log'>,
  checkpoint: CheckpointRef,
): Promise<void> {
  await readCommit(store, checkpoint)
    .then((commit) => keepMetrics(store, commit))
    .catch((error) => log.info({ prefix: checkpoint.prefix }, `metrics.json was not written: ${error.message}`));
}
