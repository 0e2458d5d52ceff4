import type { Producer } from '../../runtime/producer.ts';
import { type Arrivals, KeptBatch } from './kept-batch.ts';
import type { PieceStore } from './piece-store.ts';
import { aheadBytes } from './row-bytes.ts';
import type { BatchRows, BatchSource, Piece } from './types.ts';

/** The pieces of a loader as batches. */
export class KeptBatches implements BatchSource, Arrivals {
  readonly #producer: Producer<Piece>;
  readonly #store: PieceStore;
  /** Those that began before they were asked for; the last of all that began takes the pieces. */
  readonly #ahead: KeptBatch[] = [];
  #newest: KeptBatch | null = null;
  #turn: Promise<void> = Promise.resolve();
  #readsAhead = false;
  waited = 0;

  constructor(producer: Producer<Piece>, store: PieceStore) {
    this.#producer = producer;
    this.#store = store;
  }

  async next(): Promise<BatchRows> {
    while (this.#ahead.length === 0) await this.receive(() => this.#ahead.length === 0);
    return this.#ahead.shift()!;
  }

  async close(): Promise<void> {
    await this.#producer.close();
    await this.#turn;
    await this.#store.close();
  }

  async receive(wanted: () => boolean): Promise<void> {
    const began = performance.now();
    try {
      await this.#inTurn(wanted);
    } finally {
      this.waited += performance.now() - began;
    }
  }

  /**
   * While a large batch is read from the disk, what the loader has ready takes its place there: the loader never stands
   * still. Of a small one the loader keeps several ready itself.
   */
  released(): void {
    const room = () => this.#ahead.reduce((sum, { bytes }) => sum + bytes, 0) < aheadBytes;
    const wanted = () => this.#store.spills && this.#producer.ready && room();
    if (this.#readsAhead || !wanted()) return;
    this.#readsAhead = true;
    const again = () => {
      this.#readsAhead = false;
      this.released();
    };
    // Who needs the next piece is told what went wrong.
    this.#inTurn(wanted).then(again, () => {});
  }

  #inTurn(wanted: () => boolean): Promise<void> {
    const turn = this.#turn.then(() => (wanted() ? this.#take() : undefined));
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #take(): Promise<void> {
    const piece = await this.#producer.next();
    if (piece.first === 0) {
      this.#newest = new KeptBatch(piece, this.#store, this);
      this.#ahead.push(this.#newest);
    }
    await this.#newest!.add(piece);
  }
}
