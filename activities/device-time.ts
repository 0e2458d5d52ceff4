import { CancelledFailure } from '@temporalio/common';
import { type DevicePart, isUsed, limitedCostOf, type Used } from '../src/costs/used.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { countingStore } from '../src/runtime/store-use.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import type { ShardHeartbeat } from './types/shard.ts';
import { type Metered, UseMeter } from './use-meter.ts';

type Verb<I, O> = (deps: Dependencies, input: I, attempt: Attempt) => Promise<O>;
interface Limited {
  readonly deviceMs?: number;
  readonly cost?: number;
}
interface Timed {
  readonly deviceMs?: number;
  readonly used?: Used;
}

/**
 * Device work that says how long it had the device and what that cost: from the start of an attempt to its end, since an
 * attempt has the worker's one slot for a device, and what waits in the queue has not. Attempts that died count up to
 * their last beat, which the next one goes on from. Where the input says how long it may be, it is told to stop then, as
 * soon as it has something to stop with; where it says what it may cost, so early that its last checkpoint is paid too.
 * RecipeInvalid where it may cost so much and its worker knows no price.
 */
export function onDevice<I, O extends object>(
  verb: Verb<I & Limited, O>,
  part: DevicePart,
): Verb<I & Limited, O & Timed> {
  const timed: Verb<I & Limited, O & Timed> = async (deps, input, attempt) => {
    const began = performance.now();
    const { deviceMs: before = 0, ...earlier } = (attempt.earlier ?? {}) as Timed & Partial<Metered>;
    const used = () => Math.round(before + performance.now() - began);
    const use = new UseMeter(part, deps.prices, isUsed(earlier.used) ? (earlier as Metered) : null);
    if (input.cost !== undefined && !use.isPriced) throw withoutPrice();
    const shown = labelsOf(input, deps.device);
    const timeUp = new AbortController();
    let isTooDear = false;
    const heartbeat = (details: unknown) => {
      const deviceMs = used();
      const metered = use.metered();
      attempt.heartbeat({ ...(details as object | undefined), deviceMs, ...metered });
      if (shown) deps.gauges?.spent(shown, use.own(), false);
      if (input.deviceMs !== undefined && deviceMs >= input.deviceMs && hasStarted(details)) timeUp.abort();
      const { reserve = 0 } = metered.used;
      isTooDear ||= input.cost !== undefined && limitedCostOf(metered.used) + reserve >= input.cost;
      if (isTooDear) timeUp.abort();
    };
    const signal = AbortSignal.any([attempt.signal, timeUp.signal]);
    const told = () => {
      if (shown) deps.gauges?.spent(shown, use.own(), true);
      return { deviceMs: used(), used: use.metered().used };
    };
    try {
      const own = { ...attempt, signal, heartbeat, use };
      return { ...(await countingStore(use.store, () => verb(deps, input, own))), ...told() };
    } catch (error) {
      // Cancelled by nobody: Temporal would begin it again.
      const isLeft = isTooDear && !attempt.signal.aborted && isStop(error);
      throw withTime(isLeft ? tooDear(error) : error, told());
    }
  };
  return Object.defineProperty(timed, 'name', { value: verb.name });
}

/** Whose work it is, where its input says so: that of an evaluation by a task says it to nobody but itself. */
function labelsOf(
  input: unknown,
  device?: string,
): { readonly run: string; readonly phase: string; readonly device?: string } | null {
  const { run, phase } = (input as { plan?: { run?: unknown; phase?: unknown } }).plan ?? {};
  return typeof run === 'string' && typeof phase === 'string' ? { run, phase, ...(device && { device }) } : null;
}

/** Whether a shard has a checkpoint to end with, or can make one. */
function hasStarted(details: unknown): boolean {
  const { lastCommit = null, doing = null } = (details ?? {}) as Partial<ShardHeartbeat>;
  return lastCommit !== null || doing === null;
}

/** What failed carries its time too: the workflow hears of nothing else of it. */
function withTime(error: unknown, told: Timed): unknown {
  if (error instanceof CancelledFailure) return new CancelledFailure(error.message, [told], error.cause);
  if (!isRunnerError(error)) return error;
  return new RunnerError(error.code, error.message, { cause: error, details: { ...error.details, ...told } });
}

const isStop = (error: unknown) =>
  error instanceof CancelledFailure || (error instanceof Error && error.name === 'AbortError');

const tooDear = (cause: unknown) =>
  new RunnerError('LimitReached', 'its limit of cost does not reach for another checkpoint; setLimits raises it', {
    cause,
  });

const withoutPrice = () =>
  new RunnerError(
    'RecipeInvalid',
    'the phase has a limit of cost, and this worker knows no price of an hour of its device; set SIGLIP2_PRICE, or name the device in the file of SIGLIP2_PRICES, start the worker again and use retryPhase; or take the limit away: setLimits {"cost": null}',
  );
