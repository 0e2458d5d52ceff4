/** Shards that a worker has taken of those that it may take. They count when they are taken, whatever they end with. */
export class ShardCount {
  readonly most: number | null;
  readonly #full = new AbortController();
  #taken = 0;

  constructor(most: number | null) {
    this.most = most;
  }

  /** Aborted when the last one that is allowed was taken. */
  get full(): AbortSignal {
    return this.#full.signal;
  }

  /** Returns what is told each count of shards in progress. */
  counter(): (count: number) => void {
    let last = 0;
    return (count) => {
      this.#taken += Math.max(0, count - last);
      last = count;
      if (this.most !== null && this.#taken >= this.most) this.#full.abort();
    };
  }
}
