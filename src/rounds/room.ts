/**
 * Memory for pieces that go by one after another: made once, and anew for a larger one alone. What it gave before is written over
 * by what comes next, and holds what was there till then.
 */
export class Room {
  #memory = new ArrayBuffer(0);

  bytes(count: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#of(count), 0, count);
  }

  floats(count: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.#of(4 * count), 0, count);
  }

  doubles(count: number): Float64Array<ArrayBuffer> {
    return new Float64Array(this.#of(8 * count), 0, count);
  }

  #of(bytes: number): ArrayBuffer {
    if (this.#memory.byteLength < bytes) this.#memory = new ArrayBuffer(bytes);
    return this.#memory;
  }
}
