import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { RunnerError } from './errors.ts';
import { fromThreadError, type ThreadError } from './thread-error.ts';

/** What a thread is asked for. */
export interface ProducerOptions<S> {
  /** Address of its module, which calls `produce`. */
  readonly module: string;
  readonly settings: S;
  /** Items that are kept ready, at most. */
  readonly prefetch: number;
  /** Bytes of items that are kept ready, at most, unless one item alone has more; absent: any. */
  readonly prefetchBytes?: number;
  /**
   * After `close` the thread waits for the next producer of its module, with all that it has loaded: a tokenizer alone is a
   * second and 180 MB. One thread of a process does so, until a producer of another module is opened.
   */
  readonly keep?: boolean;
}

export type FromThread<T> =
  | { readonly type: 'item'; readonly item: T }
  | { readonly type: 'note'; readonly text: string }
  /** It was told to end, and sends no more. */
  | { readonly type: 'idle' }
  | ThreadError;

/** `taken`: one item was, and the thread may make another. */
export type ToThread<S> =
  | { readonly type: 'begin'; readonly job: Omit<ProducerOptions<S>, 'module' | 'keep'> }
  | { readonly type: 'taken' }
  | { readonly type: 'end' };

/** Items in order, made ahead in a thread of their own. */
export interface Producer<T> {
  next(): Promise<T>;
  /** Whether `next` has one at once. */
  readonly ready: boolean;
  /** Ends the thread, or keeps it for another; whoever waits for an item is told so. */
  close(): Promise<void>;
}

/** The item in progress may take so long; a thread that waits for a store is ended. */
const idleWithinMs = 1_000;
let spare: { readonly module: string; readonly thread: Worker } | null = null;

/** The thread that waits for this module, or a new one. */
function threadOf(module: string): Worker {
  const found = spare;
  spare = null;
  if (found?.module === module) return found.thread;
  void found?.thread.terminate();
  // Whoever started this process may not have set tsx up for threads, so the thread does so itself.
  const thread = new Worker(new URL('./thread.mjs', import.meta.url), { workerData: { module }, execArgv: [] });
  thread.unref();
  return thread;
}

/** Keeps a thread that has nothing to do for the next producer. */
function keepSpare(module: string, thread: Worker): void {
  void spare?.thread.terminate();
  const kept = { module, thread };
  spare = kept;
  const forget = () => {
    if (spare === kept) spare = null;
  };
  thread.on('error', forget);
  thread.on('exit', forget);
}

/** Has a thread make items, never more than `prefetch` and `prefetchBytes` ahead of those taken. */
export function openProducer<S, T>(options: ProducerOptions<S>, note?: (text: string) => void): Producer<T> {
  const { module, keep = false, ...job } = options;
  const ready: T[] = [];
  const waiting: { resolve: (item: T) => void; reject: (error: Error) => void }[] = [];
  let failure: Error | null = null;
  let closing: Promise<void> | null = null;
  let idle = () => {};

  const thread = threadOf(module);
  const send = (message: ToThread<S>) => thread.postMessage(message);
  const fail = (error: Error) => {
    failure ??= error;
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  const take = (item: T) => {
    send({ type: 'taken' });
    return item;
  };
  const onMessage = (message: FromThread<T>) => {
    if (message.type === 'idle') idle();
    else if (closing) return;
    else if (message.type === 'note') note?.(message.text);
    else if (message.type === 'failed') fail(fromThreadError(message));
    else {
      const first = waiting.shift();
      if (first) first.resolve(take(message.item));
      else ready.push(message.item);
    }
  };
  thread.on('message', onMessage);
  // By itself, of whatever: the job fails, and is tried again from its last checkpoint.
  const lost = (how: string) => fail(new RunnerError('TrainerCrashed', `the data loader ${how}`));
  thread.on('error', (error) =>
    lost(`failed: ${String(error instanceof Error ? error.message : error).split('\n')[0]}`),
  );
  thread.on('exit', (code) => lost(`ended with code ${code}`));
  send({ type: 'begin', job });

  const close = async () => {
    const whole = failure === null;
    fail(new Error('the data loader is closed'));
    ready.length = 0;
    if (keep && whole) {
      const ended = new Promise<true>((resolve) => {
        idle = () => resolve(true);
      });
      send({ type: 'end' });
      if (await Promise.race([ended, delay(idleWithinMs)])) {
        // Each by its name: Node has listeners of its own.
        for (const event of ['message', 'error', 'exit']) thread.removeAllListeners(event);
        keepSpare(module, thread);
        return;
      }
    }
    await thread.terminate();
  };

  return {
    get ready() {
      return ready.length > 0;
    },
    next() {
      if (ready.length > 0) return Promise.resolve(take(ready.shift()!));
      if (failure) return Promise.reject(failure);
      // Only somebody who waits keeps the process up for the thread.
      thread.ref();
      return new Promise<T>((resolve, reject) => waiting.push({ resolve, reject })).finally(() => {
        if (waiting.length === 0) thread.unref();
      });
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}
