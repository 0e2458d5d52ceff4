import { type CancellationScope, sleep } from '@temporalio/workflow';
import type { Limits } from './wishes.ts';

const hour = 3_600_000;

/** Whether a phase has come to one of its limits. */
export const reached = ({ step, deviceHours, wallHours }: Limits, at: number, deviceMs: number, wallMs: number) =>
  (step !== undefined && at >= step) ||
  (deviceHours !== undefined && deviceMs >= deviceHours * hour) ||
  (wallHours !== undefined && wallMs >= wallHours * hour);

/** A limit that is set to null is taken away. */
export function merged(limits: Limits, changes: Limits): Limits {
  const all = Object.entries({ ...limits, ...changes }).filter(([, value]) => value !== null);
  return Object.fromEntries(all) as Limits;
}

/** What a shard may have of the device, where that is limited: it ends itself with a checkpoint. */
export const deviceMsLeft = ({ deviceHours }: Limits, deviceMs: number) =>
  deviceHours === undefined ? {} : { deviceMs: Math.max(1, Math.ceil(deviceHours * hour - deviceMs)) };

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
