import { assemble, type Kernel } from './assemble.ts';

interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
/** As much of it as is used here: the types of Node 20 have it not. */
const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: {
    readonly Memory: new (size: { readonly initial: number; readonly maximum: number }) => Memory;
    readonly Module: new (code: Uint8Array) => object;
    readonly Instance: new (
      module: object,
      imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
    ) => { readonly exports: object };
  };
};

const pageBytes = 65_536;
const pages = (bytes: number) => Math.ceil(bytes / pageBytes);

/** Kernels that were assembled and compiled, for as many memories as there are. */
export class Kernels<Functions> {
  readonly #module: object;

  constructor(kernels: readonly Kernel[]) {
    this.#module = new WebAssembly.Module(assemble(kernels));
  }

  on(memory: Memory): Functions {
    return new WebAssembly.Instance(this.#module, { loader: { memory } }).exports as Functions;
  }
}

/** A memory and kernels that work on it. Arrays that were given of it are void once it has grown. */
export class KernelMemory<Functions> {
  readonly run: Functions;
  readonly #memory: Memory;

  constructor(kernels: Kernels<Functions>, mostBytes: number) {
    this.#memory = new WebAssembly.Memory({ initial: 1, maximum: pages(mostBytes) });
    this.run = kernels.on(this.#memory);
  }

  /** Grows until there are so many bytes. */
  reserve(bytes: number): void {
    const missing = pages(bytes) - pages(this.#memory.buffer.byteLength);
    if (missing > 0) this.#memory.grow(missing);
  }

  bytes(at: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory.buffer, at, length);
  }

  words(at: number, length: number): Int16Array<ArrayBuffer> {
    return new Int16Array(this.#memory.buffer, at, length);
  }

  ints(at: number, length: number): Int32Array<ArrayBuffer> {
    return new Int32Array(this.#memory.buffer, at, length);
  }

  floats(at: number, length: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.#memory.buffer, at, length);
  }

  doubles(at: number, length: number): Float64Array<ArrayBuffer> {
    return new Float64Array(this.#memory.buffer, at, length);
  }
}
