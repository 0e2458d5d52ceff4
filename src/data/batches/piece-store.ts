import type { PartValues } from './batch-part.ts';
import { heldBytes } from './row-bytes.ts';
import type { SpillFile } from './spill-file.ts';
import type { Arrays } from './types.ts';

/** One array of a piece: elements of a row, and how many bytes of other arrays lie before it. */
interface Layout {
  readonly make: new (length: number) => PartValues;
  readonly size: number;
  readonly offset: number;
}

/** Rows of a batch that are kept together. */
export interface KeptPiece {
  /** Its first row within the batch, and the row after its last. */
  readonly first: number;
  readonly end: number;
  readonly bytes: number;
  readonly layout: Readonly<Record<string, Layout>>;
  /** Null once they lie on the disk alone, and when nobody asks for them again. */
  arrays: Arrays | null;
  /** Of the file; null where they lie in memory, or are on their way. */
  slot: number | null;
  readonly spilled: boolean;
  dropped: boolean;
}

/** Keeps pieces: in memory up to a number of bytes, and what is beyond that on the disk, as the bytes that they are. */
export class PieceStore {
  readonly #file: SpillFile | null;
  readonly #limit: number;
  #inMemory = 0;
  #onDisk = 0;
  #writing: Promise<void> = Promise.resolve();
  #failure: Error | null = null;

  /** Without a file all of them stay in memory. */
  constructor(file: SpillFile | null = null, limit = heldBytes) {
    this.#file = file;
    this.#limit = limit;
  }

  /** Whether anything lies on the disk. */
  get spills(): boolean {
    return this.#onDisk > 0;
  }

  /** Takes the arrays of rows `first` to `end` over. One piece at a time is on its way to the disk: this waits for the one before. */
  async keep(first: number, end: number, arrays: Arrays): Promise<KeptPiece> {
    const layout: Record<string, Layout> = {};
    let bytes = 0;
    for (const [name, all] of Object.entries(arrays)) {
      const make = all.constructor as Layout['make'];
      layout[name] = { make, size: all.length / (end - first), offset: bytes };
      bytes += all.byteLength;
    }
    const spilled = this.#file !== null && this.#inMemory + bytes > this.#limit;
    const piece: KeptPiece = { first, end, bytes, layout, arrays, slot: null, spilled, dropped: false };
    if (!spilled) {
      this.#inMemory += bytes;
      return piece;
    }
    await this.#writing;
    if (this.#failure) throw this.#failure;
    this.#onDisk += bytes;
    this.#writing = this.#write(piece, Object.values(arrays)).catch((error: Error) => {
      this.#failure ??= error;
    });
    return piece;
  }

  /** Copies one array of the rows `from` to `to` of the batch to row `at` of `into`. */
  async copy(piece: KeptPiece, name: string, from: number, to: number, into: PartValues, at: number): Promise<void> {
    const { first, arrays, slot, layout } = piece;
    const { size, offset } = layout[name]!;
    const target = into.subarray(at * size, (at + to - from) * size);
    if (arrays) target.set(arrays[name]!.subarray((from - first) * size, (to - first) * size));
    else await this.#file!.read(slot!, offset + (from - first) * size * into.BYTES_PER_ELEMENT, target);
  }

  /** Gives the room of a piece back. */
  drop(piece: KeptPiece): void {
    if (piece.dropped) return;
    piece.dropped = true;
    if (!piece.spilled) this.#inMemory -= piece.bytes;
    else if (piece.slot !== null) this.#free(piece, piece.slot);
    piece.arrays = null;
  }

  #free({ bytes }: KeptPiece, slot: number): void {
    this.#onDisk -= bytes;
    this.#file!.free(slot);
  }

  async #write(piece: KeptPiece, arrays: readonly PartValues[]): Promise<void> {
    const slot = await this.#file!.write(arrays);
    // It may not be wanted any more.
    if (piece.dropped) return this.#free(piece, slot);
    piece.slot = slot;
    piece.arrays = null;
  }

  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close();
  }
}
