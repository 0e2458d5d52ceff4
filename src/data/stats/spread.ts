/** How whole numbers are spread. */
export interface Spread {
  readonly min: number;
  /** A twentieth is at most this. */
  readonly p5: number;
  readonly median: number;
  readonly p95: number;
  readonly max: number;
  readonly mean: number;
}

/** Up to here each number is counted by itself, above it by its first three digits: a few thousand counts at most. */
const exact = 16_384;

/** Counts whole numbers of at least 0, in little memory however many they are. */
export class Numbers {
  readonly #counts = new Map<number, number>();
  #sum = 0;
  count = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;

  add(value: number): void {
    const known = value <= exact ? value : Number(value.toPrecision(3));
    this.#counts.set(known, (this.#counts.get(known) ?? 0) + 1);
    this.count++;
    this.#sum += value;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
  }

  /** How many are at least this, which is at most 16,384. */
  from(value: number): number {
    let found = 0;
    for (const [known, times] of this.#counts) if (known >= value) found += times;
    return found;
  }

  /** Null where there are none. */
  get spread(): Spread | null {
    if (this.count === 0) return null;
    const sorted = [...this.#counts].sort(([a], [b]) => a - b);
    const quantile = (share: number) => {
      let left = share * this.count;
      for (const [value, times] of sorted) {
        left -= times;
        if (left <= 0) return Math.min(this.#max, Math.max(this.#min, value));
      }
      return this.#max;
    };
    const mean = Number((this.#sum / this.count).toPrecision(6));
    return { min: this.#min, p5: quantile(0.05), median: quantile(0.5), p95: quantile(0.95), max: this.#max, mean };
  }
}
