interface TimedStep {
  /** Examples. */
  readonly count: number;
  /** Milliseconds, for data and for the selection; null where nothing is chosen. */
  readonly waited: { readonly data: number; readonly choice: number | null };
  /** Milliseconds, with the wait. */
  readonly took: number;
}

/** Steps that a rate is a mean over. */
const longest = 50;

/**
 * How fast steps are, over the last ones: for people. They go on over the ends of shards. A first step tells nothing:
 * of each shape the graph is compiled in it, and after an opening the loader has nothing ready.
 */
export class Rates {
  #steps: TimedStep[] = [];
  readonly #seen = new Set<number | null>();
  #opened = true;

  /** The next step waits for a loader that begins. */
  opened(): void {
    this.#opened = true;
  }

  /** @param shape what tells batches of one shape from others */
  add(step: TimedStep, shape: number | null): void {
    const first = this.#opened || !this.#seen.has(shape);
    this.#opened = false;
    this.#seen.add(shape);
    if (first) return;
    this.#steps.push(step);
    if (this.#steps.length > longest) this.#steps.shift();
  }

  /** Zero while no step tells. */
  get figures() {
    const sum = (of: (step: TimedStep) => number) => this.#steps.reduce((total, step) => total + of(step), 0);
    const took = sum((step) => step.took) || 1;
    return {
      examplesPerSecond: (1000 * sum((step) => step.count)) / took,
      dataWaitShare: sum(({ waited }) => waited.data) / took,
      choiceWaitShare: sum(({ waited }) => waited.choice ?? 0) / took,
    };
  }
}
