/** How often each of some names was met: of strangers' names only so many are told apart. */
export class Counts {
  readonly #most: number;
  readonly #counts = new Map<string, number>();

  constructor(most = 200) {
    this.#most = most;
  }

  add(name: string, times = 1): void {
    const known = this.#counts.has(name) || this.#counts.size < this.#most ? name : 'others';
    this.#counts.set(known, (this.#counts.get(known) ?? 0) + times);
  }

  /** Most first. */
  get all(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)));
  }
}
