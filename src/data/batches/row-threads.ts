import type { BatchPlan } from '../../recipe/batch-plan.ts';
import { AskedThread } from '../../runtime/asked-thread.ts';
import { freeTurn } from '../example/decode-in-turn.ts';
import type { LoaderSettings } from './batches.ts';
import { exampleBytes, stripBytes } from './row-bytes.ts';
import type { RowMaker, UntoldStrip } from './strip.ts';

/** What a thread of rows is started with. */
export interface RowThreadSettings {
  readonly loader: LoaderSettings;
  /** By which threads take turns with very large pictures. */
  readonly turns: SharedArrayBuffer;
}
export interface WantedRows {
  readonly batch: number;
  readonly from: number;
  readonly count: number;
}

/** A thread has the next rows before it is done with these. */
export const stripsAtOnce = 2;
/** Pictures are decoded four at a time in each strip. */
const mostRows = 16;

interface Waiting {
  readonly wanted: WantedRows;
  resolve(strip: UntoldStrip): void;
  reject(error: Error): void;
}

/** Threads that make rows. Which of them makes a row shows in nothing that is made, nor does one that dies. */
export class RowThreads implements RowMaker {
  readonly #threads: readonly AskedThread<RowThreadSettings, WantedRows, UntoldStrip>[];
  readonly #waiting: Waiting[] = [];
  #isClosed = false;

  constructor(count: number, loader: LoaderSettings, note: (text: string) => void) {
    const module = new URL('./row-thread.ts', import.meta.url).href;
    const turns = new SharedArrayBuffer(4);
    const ended = (thread: number) => freeTurn(turns, thread);
    this.#threads = Array.from(
      { length: count },
      () =>
        new AskedThread({ module, settings: { loader, turns } }, { name: 'a thread of the data loader', note, ended }),
    );
  }

  /** So that every thread has something to do, and the bytes that are on their way stay few. */
  rowsAtOnce(plan: BatchPlan, count: number, length: number | null): number {
    const few = Math.ceil(count / (stripsAtOnce * this.#threads.length));
    return Math.max(1, Math.min(mostRows, few, Math.floor(stripBytes / exampleBytes(plan, length))));
  }

  strip(batch: number, from: number, count: number): Promise<UntoldStrip> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ wanted: { batch, from, count }, resolve, reject });
      this.#hand();
    });
  }

  /** Ends the threads. Whoever waits for rows is told so. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#hand();
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  /** Gives what waits to those who have least to do. */
  #hand(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#threads.reduce((a, b) => (b.busy < a.busy ? b : a));
      if (thread.busy >= stripsAtOnce && !this.#isClosed) return;
      const { wanted, resolve, reject } = this.#waiting.shift()!;
      if (this.#isClosed) reject(new Error('the data loader is closed'));
      else
        thread
          .ask(wanted)
          .then(resolve, reject)
          .finally(() => this.#hand());
    }
  }
}
