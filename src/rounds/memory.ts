import { KernelMemory, Kernels } from '../simd/memory.ts';
import { kernels, lanes, type RoundKernels } from './kernels.ts';

/** Most that WebAssembly has; a piece takes 4.4 MB, and more only where a row of a table is longer than one. */
const mostBytes = 2 ** 32;
let compiled: Kernels<RoundKernels> | undefined;
const idle: PieceMemory[] = [];

/**
 * Where a piece of a parameter lies while kernels work on it: in doubles what is added up or written, in floats what was
 * before and what is now. Whoever took one has it alone, across awaits too, until it is given back; there are as many as were
 * in use at once.
 */
export class PieceMemory extends KernelMemory<RoundKernels> {
  values: Float64Array<ArrayBuffer> = new Float64Array(0);
  old: Float32Array<ArrayBuffer> = new Float32Array(0);
  now: Float32Array<ArrayBuffer> = new Float32Array(0);
  #count = 0;

  private constructor() {
    compiled ??= new Kernels(kernels);
    super(compiled, mostBytes);
  }

  static take(): PieceMemory {
    return idle.pop() ?? new PieceMemory();
  }

  giveBack(): void {
    idle.push(this);
  }

  /** Makes room for so many numbers of each kind. They are what they were, and mean nothing. */
  lay(count: number): void {
    this.#count = count;
    this.reserve(this.packedAt + Math.max(count, leastPacked));
    this.values = this.doubles(0, count);
    this.old = this.floats(8 * count, count);
    this.now = this.floats(12 * count, count);
  }

  /** Places of number `i` of each kind, and of codes on their way. */
  valueAt(i: number): number {
    return 8 * i;
  }
  oldAt(i: number): number {
    return 8 * this.#count + 4 * i;
  }
  nowAt(i: number): number {
    return 12 * this.#count + 4 * i;
  }
  get packedAt(): number {
    return 16 * this.#count;
  }

  /** Codes on their way, `bytes` of at most a byte for each number. */
  packed(bytes: number): Uint8Array<ArrayBuffer> {
    return this.bytes(this.packedAt, bytes);
  }
}

/** What kernels answer in takes as much of the place of codes. */
const leastPacked = 64;

/** As many of `count` numbers as kernels take; the others are for plain loops. */
export const wholeVectors = (count: number): number => count - (count % lanes);
