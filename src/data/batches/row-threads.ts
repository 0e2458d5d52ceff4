import { Worker } from 'node:worker_threads';
import type { BatchPlan } from '../../recipe/batch-plan.ts';
import { fromThreadError, type ThreadError } from '../../runtime/thread-error.ts';
import type { LoaderSettings } from './batches.ts';
import { exampleBytes, stripBytes } from './row-bytes.ts';
import type { RowMaker, UntoldStrip } from './strip.ts';

/** What a thread of rows is started with. */
export interface RowThreadData {
  readonly module: string;
  readonly settings: LoaderSettings;
  /** By which threads take turns with very large pictures. */
  readonly turns: SharedArrayBuffer;
}
/** Asks for rows. */
export interface ToRowThread {
  readonly id: number;
  readonly batch: number;
  readonly from: number;
  readonly count: number;
}
export type FromRowThread =
  | { readonly type: 'made'; readonly id: number; readonly strip: UntoldStrip }
  | { readonly type: 'failed'; readonly id: number; readonly error: ThreadError }
  | { readonly type: 'note'; readonly text: string };

/** A thread has the next rows before it is done with these. */
export const stripsAtOnce = 2;
/** Pictures are decoded four at a time in each strip. */
const mostRows = 16;

interface Task {
  readonly message: ToRowThread;
  resolve(strip: UntoldStrip): void;
  reject(error: Error): void;
}

/** Threads that make rows. Which of them makes a row shows in nothing that is made. */
export class RowThreads implements RowMaker {
  readonly #threads: { readonly worker: Worker; readonly tasks: Map<number, Task> }[];
  readonly #waiting: Task[] = [];
  #numbers = 0;
  #failure: Error | null = null;

  constructor(count: number, settings: LoaderSettings, note: (text: string) => void) {
    const module = new URL('./row-thread.ts', import.meta.url).href;
    const turns = new SharedArrayBuffer(4);
    this.#threads = Array.from({ length: count }, () => {
      const workerData: RowThreadData = { module, settings, turns };
      const worker = new Worker(new URL('../../runtime/thread.mjs', import.meta.url), { workerData, execArgv: [] });
      const tasks = new Map<number, Task>();
      worker.on('message', (message: FromRowThread) => {
        if (message.type === 'note') note(message.text);
        else {
          const task = tasks.get(message.id);
          // What was on its way when the threads were ended is nobody's.
          if (!task) return;
          tasks.delete(message.id);
          if (message.type === 'made') task.resolve(message.strip);
          else task.reject(fromThreadError(message.error));
          this.#hand();
        }
      });
      worker.on('error', (error) => this.#fail(`a thread of the data loader failed: ${error.message}`));
      worker.on('exit', (code) => this.#fail(`a thread of the data loader ended with code ${code}`));
      return { worker, tasks };
    });
  }

  /** So that every thread has something to do, and the bytes that are on their way stay few. */
  rowsAtOnce(plan: BatchPlan, count: number, length: number | null): number {
    const few = Math.ceil(count / (stripsAtOnce * this.#threads.length));
    return Math.max(1, Math.min(mostRows, few, Math.floor(stripBytes / exampleBytes(plan, length))));
  }

  strip(batch: number, from: number, count: number): Promise<UntoldStrip> {
    return new Promise((resolve, reject) => {
      const message = { id: this.#numbers++, batch, from, count };
      this.#waiting.push({ message, resolve, reject });
      this.#hand();
    });
  }

  /** Ends the threads. Whoever waits for rows is told so. */
  async close(): Promise<void> {
    this.#fail('the data loader is closed');
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }

  /** Gives what waits to those who have least to do. */
  #hand(): void {
    while (this.#waiting.length > 0) {
      if (this.#failure) {
        this.#waiting.shift()!.reject(this.#failure);
        continue;
      }
      const { worker, tasks } = this.#threads.reduce((a, b) => (b.tasks.size < a.tasks.size ? b : a));
      if (tasks.size >= stripsAtOnce) return;
      const task = this.#waiting.shift()!;
      tasks.set(task.message.id, task);
      worker.postMessage(task.message satisfies ToRowThread);
    }
  }

  #fail(sentence: string): void {
    this.#failure ??= new Error(sentence);
    for (const { tasks } of this.#threads) {
      for (const task of tasks.values()) task.reject(this.#failure);
      tasks.clear();
    }
    this.#hand();
  }
}
