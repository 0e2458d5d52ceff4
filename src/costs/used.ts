/**
 * What a device is held for. `trained`: steps that a checkpoint holds. `repeated`: steps that none came to hold, or that
 * were given up. Then what makes no step: `preparing` (loading, compiling, measuring) and `committing` (waiting for the
 * last upload). Teachers score, and what was trained is evaluated.
 */
export const deviceParts = ['trained', 'repeated', 'preparing', 'committing', 'scoring', 'evaluating'] as const;
export type DevicePart = (typeof deviceParts)[number];
/** What is paid for: devices by what they did, and the store. */
export type CostPart = DevicePart | 'requests' | 'egress';

/** What work has used and what that cost, in all its attempts: sums, a few hundred bytes however much it was. */
export interface Used {
  /** Milliseconds of a device. */
  readonly ms: Readonly<Partial<Record<DevicePart, number>>>;
  /** Money, at the price of whichever worker it was that used it. */
  readonly cost: Readonly<Partial<Record<CostPart, number>>>;
  /** As in StoreUse. */
  readonly store: {
    readonly reads: number;
    readonly writes: number;
    readonly readBytes: number;
    readonly writtenBytes: number;
  };
  /** Milliseconds of devices whose price their worker did not know, or knew in another money: `cost` lacks them. */
  readonly unpricedMs: number;
  /** What the money is called, where somebody says. */
  readonly currency?: string;
  /** Of the newest attempt: what an end with a checkpoint was taken to cost. */
  readonly reserve?: number;
}

export const nothingUsed: Used = {
  ms: {},
  cost: {},
  store: { reads: 0, writes: 0, readBytes: 0, writtenBytes: 0 },
  unpricedMs: 0,
};

type Sums = Readonly<Record<string, number | undefined>>;

function sums<T extends Sums>(a: T, b: T): T {
  const all: Record<string, number> = {};
  for (const [name, value = 0] of [...Object.entries(a), ...Object.entries(b)]) all[name] = (all[name] ?? 0) + value;
  return all as T;
}

/** Both together. Money by two names can't be summed: the device time of the second then counts as without a price. */
export function addUsed(a: Used, b: Used): Used {
  const foreign = costOf(a) > 0 && costOf(b) > 0 && a.currency !== b.currency;
  const currency = costOf(a) > 0 ? a.currency : (b.currency ?? a.currency);
  return {
    ms: sums(a.ms, b.ms),
    cost: foreign ? a.cost : sums(a.cost, b.cost),
    store: sums(a.store, b.store),
    unpricedMs: a.unpricedMs + (foreign ? deviceMsIn(b) : b.unpricedMs),
    ...(currency !== undefined && { currency }),
    ...((b.reserve ?? a.reserve) !== undefined && { reserve: b.reserve ?? a.reserve }),
  };
}

const sum = (values: Sums) => Object.values(values).reduce<number>((total, value = 0) => total + value, 0);
export const costOf = ({ cost }: Used): number => sum(cost);
export const deviceMsIn = ({ ms }: Used): number => sum(ms);
/** What counts against a limit: evaluations go on beside training, and are not held by it. */
export const limitedCostOf = ({ cost }: Used): number => sum(cost) - (cost.evaluating ?? 0);

/** Steps of this share of what was trained are given up: their time and their money were for nothing. */
export function givenUp(used: Used, share: number): Used {
  const moved = <T extends { readonly trained?: number; readonly repeated?: number }>(of: T): T => {
    const lost = (of.trained ?? 0) * Math.min(1, Math.max(0, share));
    return lost === 0 ? of : { ...of, trained: (of.trained ?? 0) - lost, repeated: (of.repeated ?? 0) + lost };
  };
  return { ...used, ms: moved(used.ms), cost: moved(used.cost) };
}

/** Whether something that came by a signal is what this file says. */
export function isUsed(value: unknown): value is Used {
  if (typeof value !== 'object' || value === null) return false;
  const { ms, cost, store, unpricedMs, currency, reserve } = value as Partial<Used>;
  const numbers = [ms, cost, store].every(
    (of) =>
      typeof of === 'object' && of !== null && Object.keys(of).length <= 8 && Object.values(of).every(Number.isFinite),
  );
  const text = currency === undefined || (typeof currency === 'string' && currency.length <= 8);
  return numbers && text && Number.isFinite(unpricedMs) && (reserve === undefined || Number.isFinite(reserve));
}
