import { Worker } from 'node:worker_threads';
import { RunnerError } from './errors.ts';
import { fromThreadError, type ThreadError } from './thread-error.ts';

/** What a thread is started with. */
export interface AskedThreadData<S> {
  /** Address of its module, which calls `answer`. */
  readonly module: string;
  readonly settings: S;
}
export interface Asked<Q> {
  readonly id: number;
  readonly question: Q;
}
export type FromAskedThread<A> =
  | { readonly type: 'answer'; readonly id: number; readonly answer: A }
  | { readonly type: 'refused'; readonly id: number; readonly error: ThreadError }
  | { readonly type: 'note'; readonly text: string };

export interface AskedThreadOptions {
  /** Of messages to people: "a thread of the data loader". */
  readonly name: string;
  readonly note: (text: string) => void;
  /** Told which thread has ended, by `threadId`, before another takes its place. */
  readonly ended?: (thread: number) => void;
}

/** What ends so many threads in turn ends the next one too. */
const mostStarts = 3;

interface Question<Q, A> {
  readonly asked: Asked<Q>;
  /** Threads that ended while they had it. */
  lost: number;
  resolve(answer: A): void;
  reject(error: Error): void;
}

/**
 * A thread that answers questions, several at a time and in any order. One that dies, of whatever, is replaced, and asked
 * again what it had not answered: answers have to be pure functions. What has cost three threads is refused as TrainerCrashed.
 */
export class AskedThread<S, Q, A> {
  readonly #data: AskedThreadData<S>;
  readonly #options: AskedThreadOptions;
  readonly #open = new Map<number, Question<Q, A>>();
  #worker: Worker | null = null;
  #numbers = 0;
  #closed = false;

  constructor(data: AskedThreadData<S>, options: AskedThreadOptions) {
    this.#data = data;
    this.#options = options;
    this.#worker = this.#start();
  }

  /** Questions that are not answered yet. */
  get busy(): number {
    return this.#open.size;
  }

  /** Rejects with what the thread threw, TrainerCrashed, or because of `close`. */
  ask(question: Q): Promise<A> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(this.#gone());
        return;
      }
      const asked = { id: this.#numbers++, question };
      this.#open.set(asked.id, { asked, lost: 0, resolve, reject });
      this.#worker ??= this.#start();
      // Only somebody who waits keeps the process up for the thread.
      this.#worker.ref();
      this.#worker.postMessage(asked satisfies Asked<Q>);
    });
  }

  /** Ends the thread. Whoever waits for an answer is told so. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const { reject } of this.#open.values()) reject(this.#gone());
    this.#open.clear();
    await this.#worker?.terminate();
  }

  #gone(): Error {
    return new Error(`${this.#options.name} is closed`);
  }

  #start(): Worker {
    const worker = new Worker(new URL('./thread.mjs', import.meta.url), { workerData: this.#data, execArgv: [] });
    worker.unref();
    const { threadId } = worker;
    let why = '';
    worker.on('message', (message: FromAskedThread<A>) => this.#take(message));
    // Its exit follows.
    worker.on('error', (error) => {
      why = `: ${error.message.split('\n')[0]}`;
    });
    worker.on('exit', (code) => {
      this.#options.ended?.(threadId);
      if (!this.#closed) this.#replace(`${this.#options.name} ended with code ${code}${why}`);
    });
    return worker;
  }

  #take(message: FromAskedThread<A>): void {
    if (message.type === 'note') {
      this.#options.note(message.text);
      return;
    }
    const question = this.#open.get(message.id);
    // What was on its way when the thread was ended is nobody's.
    if (!question) return;
    this.#open.delete(message.id);
    if (this.#open.size === 0) this.#worker?.unref();
    if (message.type === 'answer') question.resolve(message.answer);
    else question.reject(fromThreadError(message.error));
  }

  #replace(how: string): void {
    this.#worker = null;
    for (const question of this.#open.values()) {
      question.lost++;
      if (question.lost < mostStarts) continue;
      this.#open.delete(question.asked.id);
      question.reject(new RunnerError('TrainerCrashed', `${how}, and so did two others before it, over the same work`));
    }
    this.#options.note(`${how}; another takes its place`);
    if (this.#open.size === 0) return;
    this.#worker = this.#start();
    this.#worker.ref();
    for (const { asked } of this.#open.values()) this.#worker.postMessage(asked satisfies Asked<Q>);
  }
}
