import { type CancellationScope, sleep } from '@temporalio/workflow';
import { limitedCostOf, type Used } from '../src/costs/used.ts';
import type { Limits } from './wishes.ts';

const hour = 3_600_000;

/** Whether a phase has come to one of its limits. */
export const reached = (
  { step, deviceHours, wallHours, cost }: Limits,
  at: number,
  deviceMs: number,
  wallMs: number,
  used: Used,
) =>
  (step !== undefined && at >= step) ||
  (deviceHours !== undefined && deviceMs >= deviceHours * hour) ||
  (wallHours !== undefined && wallMs >= wallHours * hour) ||
  // What is left would not pay for another checkpoint.
  (cost !== undefined && limitedCostOf(used) + (used.reserve ?? 0) >= cost);

/** A limit that is set to null is taken away. */
export function merged(limits: Limits, changes: Limits): Limits {
  const all = Object.entries({ ...limits, ...changes }).filter(([, value]) => value !== null);
  return Object.fromEntries(all) as Limits;
}

/** What a shard may have of the device, where that is limited: it ends itself with a checkpoint. */
export const deviceMsLeft = ({ deviceHours }: Limits, deviceMs: number) =>
  deviceHours === undefined ? {} : { deviceMs: Math.max(1, Math.ceil(deviceHours * hour - deviceMs)) };

/** What a shard may cost, where that is limited: it ends itself with a checkpoint before. */
export const costLeft = ({ cost }: Limits, used: Used) =>
  cost === undefined ? {} : { cost: Math.max(0, cost - limitedCostOf(used)) };

/** Ends a shard, with a checkpoint, when its time is up. The phase began at `start`. */
export function stopInTime(shard: CancellationScope, limits: Limits, deviceMs: number, start: number): void {
  const { deviceHours, wallHours } = limits;
  if (deviceHours !== undefined) stopAfter(shard, deviceHours * hour - deviceMs);
  if (wallHours !== undefined) stopAfter(shard, start + wallHours * hour - Date.now());
}

/** The scope takes the timer with it. */
function stopAfter(shard: CancellationScope, ms: number): void {
  void sleep(Math.max(1, ms)).then(
    () => shard.cancel(),
    () => {},
  );
}
