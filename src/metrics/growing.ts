/** Numbers that come one by one, without an object for each: Float64 or Int32, which doubles when it is full. */
export class Growing<T extends Float64Array | Int32Array> {
  #held: T;
  length = 0;

  constructor(empty: T) {
    this.#held = empty;
  }

  push(value: number): void {
    if (this.length === this.#held.length) {
      const wider = new (this.#held.constructor as new (length: number) => T)(Math.max(16, 2 * this.length));
      wider.set(this.#held);
      this.#held = wider;
    }
    this.#held[this.length++] = value;
  }

  get all(): T {
    return this.#held.subarray(0, this.length) as T;
  }
}
