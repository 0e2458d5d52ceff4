import { CancelledFailure } from '@temporalio/common';
import type { LeaseEnd, LeaseWish } from '../src/trainer/pool.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';

/** What an attempt has for its whole time. */
export interface DeviceLease {
  readonly deps: Dependencies;
  /** Whether another attempt may have another device. */
  readonly isOneOfSeveral: boolean;
  /** Gives back what was taken of it. */
  release(end: LeaseEnd): void;
}

export type Leasing = (
  deps: Dependencies,
  input: unknown,
  workflowId: string,
  attempt: Pick<Attempt, 'signal' | 'heartbeat' | 'earlier'>,
) => Promise<DeviceLease>;

/** Of an attempt that needs no device, and of one whose worker has a single one: that is taken job by job. */
export const nothingLeased = (deps: Dependencies): DeviceLease => ({ deps, isOneOfSeveral: false, release() {} });

/**
 * Leases one of the devices of a worker that has several, best the one that holds what the input begins with, and names it in all
 * that the attempt logs. CancelledFailure where the attempt is cancelled before one is free.
 */
export const leaseDevice: Leasing = async (deps, input, workflowId, attempt) => {
  const { devices, log } = deps;
  if (!devices) return nothingLeased(deps);
  // After a connection was lost, attempts of before may still be at work. What an earlier one has used stays known.
  const { device: _, ...earlier } = (attempt.earlier ?? {}) as { readonly device?: string };
  const heart = beat(attempt, () => ({ ...earlier, doing: 'waiting for a device' }));
  const lease = await devices
    .lease(wishOf(input, workflowId), attempt.signal)
    .catch(() => {
      throw new CancelledFailure('stopped before a device was free');
    })
    .finally(() => heart.stop());
  const { name, trainer, firstStep, memory, prices, cpu } = lease.of;
  const named = (level: 'info' | 'warn') => (fields: object, message: string) =>
    log[level]({ ...fields, on: name }, message);
  return {
    deps: {
      ...deps,
      ...{ trainer, firstStep, device: name },
      log: { info: named('info'), warn: named('warn') },
      ...(memory && { memory }),
      ...(prices && { prices }),
      ...(cpu && { cpu }),
    },
    isOneOfSeveral: devices.trainers.length > 1,
    release: lease.release,
  };
};

/** Of a round its slot, and of both rounds and shards the state that they begin with. */
export function wishOf(input: unknown, work: string): LeaseWish {
  const { slot, from, round } = (input ?? {}) as {
    readonly slot?: number;
    readonly from?: { readonly sha256?: string } | null;
    readonly round?: { readonly from?: { readonly sha256?: string } };
  };
  return { work, slot, state: round?.from?.sha256 ?? from?.sha256 };
}
