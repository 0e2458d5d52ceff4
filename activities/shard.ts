import { join } from 'node:path';
import type { CheckpointMetrics, Commit } from '../src/checkpoint/types.ts';
import type { Pace } from '../src/recipe/pace.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { Progress } from '../src/trainer/protocol.ts';
import type { FirstStepSeconds } from '../src/worker-life/first-step.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import type { SettledCpu } from './settle-cpu.ts';
import type { ShardHeartbeat, ShardInput, ShardResult } from './types/shard.ts';

/** One attempt at a shard, and what it tells of itself. */
export interface Shard {
  readonly deps: Dependencies;
  readonly input: ShardInput;
  readonly attempt: Attempt;
  /** Local folder of this attempt alone. */
  readonly folder: string;
  newest: Commit | null;
  /** How a phase is checkpointed whose plan says auto, once that is known. */
  pace: Pace | null;
  /** The step at which the shard ends. */
  end: number;
  live: Omit<Progress, 'examples' | 'records'>;
  /** What is being done or waited for, null while steps are made. */
  doing: string | null;
  /** The CPU that it trains on; null on a GPU, and before that is known. */
  cpu: SettledCpu | null;
  /** With what was measured; null before that is known. */
  settings: PhaseSettings | null;
  /** Where the time of its worker went to its first step, where that was one of this shard. */
  firstStep: FirstStepSeconds | null;
}

/** An attempt of which nothing is known yet but where it starts and ends, and what it does first. */
export function newShard(
  deps: Dependencies,
  input: ShardInput,
  attempt: Attempt,
  { from, end, doing }: { readonly from: number; readonly end: number; readonly doing: string },
): Shard {
  return {
    ...{ deps, input, attempt, end, doing },
    folder: join(deps.scratch, input.plan.run, input.plan.phase, attempt.id),
    live: liveOf(from, { loss: 0, examplesPerSecond: 0, dataWaitShare: 0 }),
    ...{ newest: null, pace: null, cpu: null, settings: null, firstStep: null },
  };
}

export function liveOf(
  step: number,
  { loss, objectives = {}, figures = {}, examplesPerSecond, dataWaitShare }: CheckpointMetrics,
): Shard['live'] {
  return { step, loss, objectives, figures, examplesPerSecond, dataWaitShare };
}

export function heartbeatOf({ live, doing, newest, cpu, settings, firstStep }: Shard): ShardHeartbeat {
  return {
    ...live,
    doing,
    ...(cpu?.remark && { remark: cpu.remark }),
    ...(settings && computedWith(settings)),
    ...(firstStep && { firstStep }),
    lastCommit: newest && { step: newest.step, committed: newest.committed },
  };
}

/** What was chosen for the steps, for people. */
export const computedWith = ({ precision, xla = 'off' }: PhaseSettings): Pick<ShardResult, 'precision' | 'xla'> =>
  precision ? { precision, xla } : {};
