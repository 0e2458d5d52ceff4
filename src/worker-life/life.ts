import { exitCodes } from '../runtime/exit-codes.ts';

/** Why a worker ends: by a rule that it was given, or since somebody told it to. */
export interface EndReason {
  readonly by: 'rule' | 'person' | 'preemption';
  /** For the log, such as `idle for 120 s`. */
  readonly why: string;
}

/**
 * How a worker's life ends. Draining takes no more work and brings what was taken to its end; stopping asks what was taken
 * to commit now, and waits for that as long as the grace period lasts. Draining may turn into stopping, never back.
 */
export class WorkerLife {
  readonly #graceMs: number;
  readonly #draining = new AbortController();
  readonly #stopping = new AbortController();
  readonly #late = new AbortController();
  #interrupt = new AbortController();
  #reason: EndReason | null = null;
  /** Activities that run here. */
  #open = 0;
  /** Those that were cut short by the end and have kept nothing. */
  #lost = 0;
  #lateTimer: NodeJS.Timeout | undefined;

  constructor(graceMs: number) {
    this.#graceMs = graceMs;
  }

  /** Aborted when no more work is to be taken. */
  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  /** Aborted when what was taken has to commit now. */
  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Aborted when the grace period is over; of a worker that drains, so long after its last activity. */
  get late(): AbortSignal {
    return this.#late.signal;
  }

  /** What activities look at: aborted by `stop`, and by `interruptAll`. Of those that begin after `resume` it is another. */
  get interrupt(): AbortSignal {
    return this.#interrupt.signal;
  }

  get reason(): EndReason | null {
    return this.#reason;
  }

  /** False where it ends already. */
  drain(reason: EndReason): boolean {
    if (this.draining.aborted) return false;
    this.#reason = reason;
    this.#draining.abort();
    this.#endSoon();
    return true;
  }

  /** False where it stops already. */
  stop(reason: EndReason): boolean {
    if (this.stopping.aborted) return false;
    this.#reason = reason;
    this.#stopping.abort();
    this.#draining.abort();
    this.#interrupt.abort();
    this.#endSoon();
    return true;
  }

  /** Asks all activities to commit although the worker goes on, as when its connection failed for good. */
  interruptAll(): void {
    this.#interrupt.abort();
  }

  /** After `interruptAll`: what begins from here on is not interrupted. */
  resume(): void {
    if (this.#interrupt.signal.aborted && !this.stopping.aborted) this.#interrupt = new AbortController();
  }

  /** An activity begins. The function that is returned is told, once, whether it came to an end that keeps its work. */
  began(): (kept: boolean) => void {
    this.#open += 1;
    return (kept) => {
      this.#open -= 1;
      if (!kept && this.stopping.aborted) this.#lost += 1;
      if (this.draining.aborted && !this.stopping.aborted) this.#endSoon();
    };
  }

  /** Nothing but what runs here is waited for without end, and when it stops not even that. */
  #endSoon(): void {
    clearTimeout(this.#lateTimer);
    const late = () => (this.stopping.aborted || this.#open === 0) && this.#late.abort();
    this.#lateTimer = setTimeout(late, this.#graceMs).unref();
  }

  /** Activities whose work since the last commit is lost, if the process ends now. */
  get lost(): number {
    return this.#lost + this.#open;
  }

  /** What the process has to end with now. */
  get exitCode(): number {
    if (this.lost > 0) return exitCodes.uncommitted.code;
    return this.#reason?.by === 'preemption' ? exitCodes.preempted.code : exitCodes.done.code;
  }
}
