/** What one place may say: so many bytes at once, and so many a second from then on. */
export interface Rate {
  readonly burst: number;
  readonly bytesPerSecond: number;
}

/** Lines that came just before the end of what was too much: they tell most of it. */
const remembered = 20;

/**
 * Holds a speaker to its rate. Lines beyond it are counted, and the last of them remembered, for the moment in which
 * something may be said again.
 */
export class Budget {
  readonly #rate: Rate;
  #bytes: number;
  #at: number;
  #dropped = 0;
  #last: string[] = [];

  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#bytes = rate.burst;
    this.#at = now;
  }

  /** Whether a line may be said now; otherwise it counts as dropped. */
  take(line: string, now: number): boolean {
    const { burst, bytesPerSecond } = this.#rate;
    this.#bytes = Math.min(burst, this.#bytes + (Math.max(0, now - this.#at) / 1000) * bytesPerSecond);
    this.#at = now;
    if (this.#bytes >= line.length) {
      this.#bytes -= line.length;
      return true;
    }
    this.#dropped++;
    this.#last.push(line);
    if (this.#last.length > remembered) this.#last.shift();
    return false;
  }

  /** How many were dropped since this was last asked, and with `last` those that came last, which then count as said. */
  dropped({ last }: { readonly last: boolean }): { readonly lines: number; readonly kept: readonly string[] } {
    const kept = last ? this.#last : [];
    const lines = this.#dropped - kept.length;
    this.#dropped = 0;
    this.#last = [];
    return { lines, kept };
  }
}
