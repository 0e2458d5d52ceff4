import { CancelledFailure } from '@temporalio/common';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import type { ShardHeartbeat } from './types/shard.ts';

type Verb<I, O> = (deps: Dependencies, input: I, attempt: Attempt) => Promise<O>;
interface Timed {
  readonly deviceMs?: number;
}

/**
 * Device work that says how long it had the device: from the start of an attempt to its end, since an attempt has the
 * worker's one slot for a device, and what waits in the queue has not. Attempts that died count up to their last beat,
 * which the next one goes on from. Where the input says how long it may be, it is told to stop then, as soon as it has
 * something to stop with.
 */
export function onDevice<I, O extends object>(verb: Verb<I & Timed, O>): Verb<I & Timed, O & Timed> {
  const timed: Verb<I & Timed, O & Timed> = async (deps, input, attempt) => {
    const began = performance.now();
    const before = (attempt.earlier as Timed | null | undefined)?.deviceMs ?? 0;
    const used = () => Math.round(before + performance.now() - began);
    const timeUp = new AbortController();
    const heartbeat = (details: unknown) => {
      const deviceMs = used();
      attempt.heartbeat({ ...(details as object | undefined), deviceMs });
      if (input.deviceMs !== undefined && deviceMs >= input.deviceMs && hasStarted(details)) timeUp.abort();
    };
    const signal = AbortSignal.any([attempt.signal, timeUp.signal]);
    try {
      return { ...(await verb(deps, input, { ...attempt, signal, heartbeat })), deviceMs: used() };
    } catch (error) {
      throw withTime(error, used());
    }
  };
  return Object.defineProperty(timed, 'name', { value: verb.name });
}

/** Whether a shard has a checkpoint to end with, or can make one. */
function hasStarted(details: unknown): boolean {
  const { lastCommit = null, doing = null } = (details ?? {}) as Partial<ShardHeartbeat>;
  return lastCommit !== null || doing === null;
}

/** What failed carries its time too: the workflow hears of nothing else of it. */
function withTime(error: unknown, deviceMs: number): unknown {
  if (error instanceof CancelledFailure) return new CancelledFailure(error.message, [{ deviceMs }], error.cause);
  if (!isRunnerError(error)) return error;
  return new RunnerError(error.code, error.message, { cause: error, details: { ...error.details, deviceMs } });
}
