import type { CorruptMember } from '../index/types.ts';
import type { Alike } from './alike.ts';
import type { PartValues } from './batch-part.ts';
import type { KeptPiece, PieceStore } from './piece-store.ts';
import { pieceBytes } from './row-bytes.ts';
import type { Arrays, BatchFacts, BatchRows, DescribedExample, Drawn, Piece, RowsOptions } from './types.ts';

/** Where the rows of a batch come from. */
export interface Arrivals {
  /** Has the next piece added to its batch, unless `wanted` says that it is no longer needed when its turn comes. */
  receive(wanted: () => boolean): Promise<void>;
  /** Rows were let go: there may be room for later ones. */
  released(): void;
}

/** A batch whose pieces arrive one after another, and are kept as long as somebody may ask for them. */
export class KeptBatch implements BatchRows {
  readonly index: number;
  readonly length?: number;
  readonly count: number;
  readonly #store: PieceStore;
  readonly #arrivals: Arrivals;
  readonly #pieces: KeptPiece[] = [];
  readonly #skipped: CorruptMember[] = [];
  readonly #described: DescribedExample[] = [];
  #alike: Alike | undefined;
  #drawn: Drawn | undefined;
  #filtered: number | undefined;
  #epochs: BatchFacts['epochs'];
  #arrived = 0;
  #closed = false;

  constructor({ index, length, of }: Pick<Piece, 'index' | 'length' | 'of'>, store: PieceStore, arrivals: Arrivals) {
    this.index = index;
    if (length !== undefined) this.length = length;
    this.count = of;
    this.#store = store;
    this.#arrivals = arrivals;
  }

  /** Of all pieces that have arrived. */
  get bytes(): number {
    return this.#pieces.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  async add({
    count,
    images,
    tokens,
    parts,
    skipped,
    described,
    drawn,
    alike,
    filtered,
    epochs,
  }: Piece): Promise<void> {
    await this.#keep(count, { images, tokens, ...parts });
    this.#skipped.push(...skipped);
    if (described) this.#described.push(...described);
    if (drawn)
      this.#drawn = {
        sources: added(this.#drawn?.sources, drawn.sources),
        languages: added(this.#drawn?.languages, drawn.languages),
      };
    if (filtered !== undefined) this.#filtered = (this.#filtered ?? 0) + filtered;
    // Of all rows up to these.
    this.#epochs = epochs;
    this.#alike = alike;
  }

  async rows(first: number, count: number, { names, last = false }: RowsOptions = {}): Promise<Arrays> {
    const end = first + count;
    let arrays: Record<string, PartValues> | null = null;
    for (let at = first; at < end; ) {
      await this.#until(at + 1);
      const piece = this.#pieceOf(at);
      const to = Math.min(piece.end, end);
      const wanted = Object.keys(piece.layout).filter((name) => names?.includes(name) ?? true);
      if (at === first && to === end && piece.arrays) arrays = viewsOf(piece, wanted, first, end);
      else {
        arrays ??= arraysFor(piece, wanted, count);
        for (const name of wanted) await this.#store.copy(piece, name, at, to, arrays[name]!, at - first);
      }
      at = to;
      if (last) this.#dropUpTo(at);
    }
    return arrays!;
  }

  async facts(): Promise<BatchFacts> {
    await this.#until(this.count);
    return {
      index: this.index,
      skipped: this.#skipped,
      ...(this.#alike && { alike: this.#alike }),
      ...(this.#filtered !== undefined && { filtered: this.#filtered }),
      ...(this.#epochs && { epochs: this.#epochs }),
      ...(this.#drawn && { drawn: this.#drawn }),
      ...(this.#described.length > 0 && { described: this.#described }),
    };
  }

  async picked(rows: Int32Array, without: readonly string[]): Promise<BatchRows> {
    await this.#until(this.count);
    const { index, length } = this;
    const chosen = new KeptBatch(
      { index, of: rows.length, ...(length !== undefined && { length }) },
      this.#store,
      this.#arrivals,
    );
    const one = this.#pieceOf(0);
    const wanted = Object.keys(one.layout).filter((name) => !without.includes(name));
    const at = Math.max(1, Math.floor(pieceBytes / (one.bytes / (one.end - one.first))));
    for (let first = 0; first < rows.length; first += at) {
      const part = rows.subarray(first, first + at);
      const arrays = arraysFor(one, wanted, part.length);
      for (const [i, row] of part.entries())
        for (const name of wanted) await this.#store.copy(this.#pieceOf(row), name, row, row + 1, arrays[name]!, i);
      await chosen.#keep(part.length, arrays);
    }
    // What all of a super-batch have alike, the chosen have.
    chosen.#alike = this.#alike;
    chosen.#skipped.push(...this.#skipped);
    chosen.#filtered = this.#filtered;
    chosen.#epochs = this.#epochs;
    return chosen;
  }

  close(): void {
    this.#closed = true;
    this.#dropUpTo(this.#arrived);
  }

  async #keep(count: number, arrays: Arrays): Promise<void> {
    const first = this.#arrived;
    // Nobody asks for what comes after the end.
    if (!this.#closed) this.#pieces.push(await this.#store.keep(first, first + count, arrays));
    this.#arrived = first + count;
    if (this.#closed) this.#dropUpTo(this.#arrived);
  }

  async #until(rows: number): Promise<void> {
    while (this.#arrived < rows) await this.#arrivals.receive(() => this.#arrived < rows);
  }

  #pieceOf(row: number): KeptPiece {
    const piece = this.#pieces.find(({ end }) => row < end);
    if (piece === undefined || piece.dropped) throw new Error(`row ${row} of batch ${this.index} was let go before`);
    return piece;
  }

  #dropUpTo(row: number): void {
    for (const piece of this.#pieces) if (piece.end <= row) this.#store.drop(piece);
    this.#arrivals.released();
  }
}

type Counts = Drawn['sources'];

function added(before: Counts = {}, more: Counts): Counts {
  const counts: Record<string, number> = { ...before };
  for (const [name, count] of Object.entries(more)) counts[name] = (counts[name] ?? 0) + count;
  return counts;
}

function viewsOf({ first, layout, arrays }: KeptPiece, names: readonly string[], from: number, to: number) {
  const view = (name: string) => {
    const { size } = layout[name]!;
    return arrays![name]!.subarray((from - first) * size, (to - first) * size);
  };
  return Object.fromEntries(names.map((name) => [name, view(name)]));
}

function arraysFor({ layout }: KeptPiece, names: readonly string[], count: number): Record<string, PartValues> {
  const make = ({ make, size }: KeptPiece['layout'][string]) => new make(count * size);
  return Object.fromEntries(names.map((name) => [name, make(layout[name]!)]));
}
