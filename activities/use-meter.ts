import { usedAt } from '../src/costs/money.ts';
import type { Prices } from '../src/costs/prices.ts';
import { addUsed, costOf, type DevicePart, nothingUsed, type Used } from '../src/costs/used.ts';
import { noStoreUse, type StoreUse } from '../src/runtime/store-use.ts';

/** What an attempt at a shard has used, in a heartbeat: the next attempt counts on from it. */
export interface Metered {
  readonly used: Used;
  /** Steps of it that no checkpoint holds yet, in `used` as repeated; and the steps that they lie between. */
  readonly pending?: { readonly used: Used; readonly from: number; readonly to: number };
}

const noPrices: Prices = { currency: null, hour: null, egress: null, writes: null, reads: null, storage: null };

/** What an upload of so many bytes is taken to need before one was seen. */
const firstUploadMs = 1000;
const slowBytesPerMs = 25_000;
/** From the wish to stop until it is heard: a beat, and a report of the trainer. */
const hearingMs = 1500;

/**
 * Counts what an attempt has a device for and what it asks of the store, and prices both by what its worker knows. Steps
 * count as trained when a checkpoint holds them. Pure in the clock that it is given.
 */
export class UseMeter {
  readonly store: StoreUse = noStoreUse();
  readonly #prices: Prices;
  readonly #now: () => number;
  readonly #earlier: Metered;
  readonly #ms: Partial<Record<DevicePart, number>> = {};
  /** What is done now, and since when. */
  #part: DevicePart | 'steps';
  #since: number;
  /** Of steps: all of them, and those that a checkpoint holds. */
  #stepsMs = 0;
  #keptMs = 0;
  /** What an earlier attempt's steps count as is known when it is known where this one begins. */
  #settled: Used | null = null;
  #keptStep: number | null = null;
  #step: number | null = null;
  /** By step: how long steps had been made then, and when that was. */
  readonly #snapshots = new Map<number, { readonly stepsMs: number; readonly at: number }>();
  #lastSnapshot: { readonly step: number; readonly stepsMs: number } | null = null;
  #uploadMs = 0;
  #stepMs = 0;
  #uploaded = false;

  constructor(part: DevicePart, prices: Prices | undefined, earlier: Metered | null, now = () => performance.now()) {
    this.#prices = prices ?? noPrices;
    this.#part = part;
    this.#now = now;
    this.#since = now();
    this.#earlier = earlier ?? { used: nothingUsed };
  }

  /** From now on the device is held for this. */
  at(part: DevicePart | 'steps'): void {
    this.#tick();
    // Between the last snapshot and the word that it was the last no step was made.
    const last = this.#lastSnapshot;
    if (part === 'committing' && last && last.step === this.#step && this.#stepsMs > last.stepsMs) {
      this.#ms.committing = (this.#ms.committing ?? 0) + this.#stepsMs - last.stepsMs;
      this.#stepsMs = last.stepsMs;
    }
    this.#part = part;
  }

  #tick(): void {
    const now = this.#now();
    const took = now - this.#since;
    this.#since = now;
    if (this.#part === 'steps') this.#stepsMs += took;
    else this.#ms[this.#part] = (this.#ms[this.#part] ?? 0) + took;
  }

  /** Where this attempt goes on from: steps that the one before it had made up to there are kept after all. */
  begins(step: number, bytes: number): void {
    if (!this.#uploaded) this.#uploadMs = Math.max(this.#uploadMs, firstUploadMs + bytes / slowBytesPerMs);
    // After a crash of its trainer alone what it had not saved is gone.
    this.#tick();
    this.#loseSteps();
    this.#settled ??= settle(this.#earlier, step);
    this.#keptStep = step;
    this.#step = step;
  }

  /** A step was reported. */
  stepped(step: number, stepMs: number): void {
    this.at('steps');
    this.#step = step;
    this.#stepMs = stepMs;
  }

  snapshot(step: number): void {
    this.#tick();
    this.#snapshots.set(step, { stepsMs: this.#stepsMs, at: this.#now() });
    this.#lastSnapshot = { step, stepsMs: this.#stepsMs };
  }

  committed(step: number): void {
    const of = this.#snapshots.get(step);
    if (!of) return;
    this.#keptMs = Math.max(this.#keptMs, of.stepsMs);
    this.#keptStep = step;
    // The guess of before the first one is no longer needed.
    const took = this.#now() - of.at;
    this.#uploadMs = this.#uploaded ? Math.max(this.#uploadMs, took) : took;
    this.#uploaded = true;
    // Of several that wait the newest goes first: older ones are committed no more.
    for (const older of this.#snapshots.keys()) if (older <= step) this.#snapshots.delete(older);
  }

  #loseSteps(): void {
    const lost = this.#stepsMs - this.#keptMs;
    if (lost > 0) this.#ms.repeated = (this.#ms.repeated ?? 0) + lost;
    this.#stepsMs = this.#keptMs;
    this.#snapshots.clear();
  }

  /** Milliseconds of device time that an end with a checkpoint takes: steps in progress, an upload under way and the last. */
  get #reserveMs(): number {
    // Before the first one nothing is under way.
    return hearingMs + 2 * this.#stepMs + (this.#uploaded ? 2 : 1) * this.#uploadMs;
  }

  /** What this attempt has used up to now, steps that no checkpoint holds counted as repeated. */
  own(): Used {
    this.#tick();
    const pendingMs = this.#stepsMs - this.#keptMs;
    const { repeated = 0 } = this.#ms;
    return this.#at(
      {
        ...this.#ms,
        ...(this.#keptMs > 0 && { trained: this.#keptMs }),
        ...(repeated + pendingMs > 0 && { repeated: repeated + pendingMs }),
      },
      { ...this.store },
    );
  }

  #at(ms: Partial<Record<DevicePart, number>>, store = noStoreUse()): Used {
    return usedAt(ms, store, this.#prices);
  }

  /** The same with the attempts before, for the next one. */
  metered(): Metered {
    const own = this.own();
    const pendingMs = this.#stepsMs - this.#keptMs;
    const before = this.#settled ?? this.#earlier.used;
    const reserve = costOf(this.#at({ committing: this.#reserveMs }));
    const used = {
      ...addUsed(before, own),
      ...(this.#part !== 'scoring' && this.#part !== 'evaluating' && { reserve }),
    };
    if (pendingMs <= 0 || this.#keptStep === null || this.#step === null) return { used };
    return { used, pending: { used: this.#at({ repeated: pendingMs }), from: this.#keptStep, to: this.#step } };
  }

  /** Whether money could be counted at all. */
  get isPriced(): boolean {
    return this.#prices.hour !== null;
  }
}

/** What an attempt that died had used, knowing the checkpoint that is there: it may have been made after its last beat. */
export function settle({ used, pending }: Metered, step: number): Used {
  if (!pending || pending.to <= pending.from) return used;
  const kept = Math.min(1, Math.max(0, (step - pending.from) / (pending.to - pending.from)));
  if (kept === 0) return used;
  const moved = <T extends { readonly trained?: number; readonly repeated?: number }>(of: T, part: T): T => {
    const back = (part.repeated ?? 0) * kept;
    return back === 0
      ? of
      : { ...of, trained: (of.trained ?? 0) + back, repeated: Math.max(0, (of.repeated ?? 0) - back) };
  };
  return { ...used, ms: moved(used.ms, pending.used.ms), cost: moved(used.cost, pending.used.cost) };
}
