import { setTimeout as delay } from 'node:timers/promises';

/** How often it is looked whether Temporal answers, at most. */
const lookEveryMs = 10_000;

/**
 * Since when a worker has had nothing to do. Activities count from the moment they are taken to their end; of workflows each
 * task counts, and no workflow that only waits, since any other worker goes on with it from its history.
 */
export class IdleClock {
  readonly #idleMs: number;
  readonly #now: () => number;
  #busy = 0;
  #since: number;

  constructor(idleMs: number, now: () => number = () => performance.now()) {
    this.#idleMs = idleMs;
    this.#now = now;
    this.#since = now();
  }

  /** Returns what is told each count of a kind of tasks in progress. */
  counter(): (count: number) => void {
    let last = 0;
    return (count) => {
      this.#busy += count - last;
      last = count;
      this.restart();
    };
  }

  /** Begins to wait anew. */
  restart(): void {
    this.#since = this.#now();
  }

  /** Milliseconds until it has been idle for long enough; never while there is work. */
  get leftMs(): number {
    return this.#busy > 0 ? Number.POSITIVE_INFINITY : this.#since + this.#idleMs - this.#now();
  }
}

export interface IdleOptions {
  /** Whether Temporal answers now. */
  readonly reachable: () => Promise<boolean>;
  /** Told when Temporal stops answering, and when it answers again. */
  readonly onReachable: (reachable: boolean) => void;
  readonly signal: AbortSignal;
}

/**
 * Resolves with true when the clock has run out, with false when the signal comes first. A worker that does not reach Temporal
 * knows nothing of work that waits: it is not idle, and the clock begins anew when Temporal answers again.
 */
export async function whenIdle(clock: IdleClock, { reachable, onReachable, signal }: IdleOptions): Promise<boolean> {
  let answered = true;
  while (!signal.aborted) {
    const answers = await reachable();
    if (signal.aborted) break;
    if (answers !== answered) onReachable(answers);
    if (!answers || !answered) clock.restart();
    answered = answers;
    // A task may have come while Temporal was asked.
    if (clock.leftMs <= 0) return true;
    await delay(Math.max(50, Math.min(clock.leftMs, lookEveryMs)), undefined, { signal }).catch(() => {});
  }
  return false;
}
