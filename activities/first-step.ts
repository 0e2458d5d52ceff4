import type { TrainStart } from '../src/trainer/protocol.ts';
import type { Shard } from './shard.ts';

/** Shows where the time of this worker went until its first step, if this was it; nothing of later ones. */
export function sayFirstStep(shard: Shard, start: TrainStart): void {
  const { deps, input } = shard;
  const seconds = deps.firstStep?.stepped(start) ?? null;
  if (seconds === null) return;
  shard.firstStep = seconds;
  deps.gauges?.startedWithin({ ...seconds }, deps.device);
  deps.log.info({ run: input.plan.run, phase: input.plan.phase, seconds }, 'first step of this worker');
}
