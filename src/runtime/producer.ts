import { Worker } from 'node:worker_threads';
import { RunnerError } from './errors.ts';
import { fromThreadError, type ThreadError } from './thread-error.ts';

/** What a thread is started with. */
export interface ThreadData<S> {
  /** Address of its module, which calls `produce`. */
  readonly module: string;
  readonly settings: S;
  /** Items that are kept ready, at most. */
  readonly prefetch: number;
  /** Bytes of items that are kept ready, at most, unless one item alone has more; absent: any. */
  readonly prefetchBytes?: number;
}

export type FromThread<T> =
  | { readonly type: 'item'; readonly item: T }
  | { readonly type: 'note'; readonly text: string }
  | ThreadError;

/** One item was taken: the thread may make another. */
export type ToThread = 'taken';

/** Items in order, made ahead in a thread of their own. */
export interface Producer<T> {
  next(): Promise<T>;
  /** Whether `next` has one at once. */
  readonly ready: boolean;
  /** Ends the thread; whoever waits for an item is told so. */
  close(): Promise<void>;
}

/** Starts a thread that makes items, never more than `prefetch` and `prefetchBytes` ahead of those taken. */
export function openProducer<S, T>(data: ThreadData<S>, note?: (text: string) => void): Producer<T> {
  const ready: T[] = [];
  const waiting: { resolve: (item: T) => void; reject: (error: Error) => void }[] = [];
  let failure: Error | null = null;

  // Whoever started this process may not have set tsx up for threads, so the thread does so itself.
  const thread = new Worker(new URL('./thread.mjs', import.meta.url), { workerData: data, execArgv: [] });
  thread.unref();
  const fail = (error: Error) => {
    failure ??= error;
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  const take = (item: T) => {
    thread.postMessage('taken' satisfies ToThread);
    return item;
  };
  thread.on('message', (message: FromThread<T>) => {
    if (message.type === 'note') note?.(message.text);
    else if (message.type === 'failed') fail(fromThreadError(message));
    else {
      const first = waiting.shift();
      if (first) first.resolve(take(message.item));
      else ready.push(message.item);
    }
  });
  // By itself, of whatever: the job fails, and is tried again from its last checkpoint.
  const lost = (how: string) => fail(new RunnerError('TrainerCrashed', `the data loader ${how}`));
  thread.on('error', (error) =>
    lost(`failed: ${String(error instanceof Error ? error.message : error).split('\n')[0]}`),
  );
  thread.on('exit', (code) => lost(`ended with code ${code}`));

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
    async close() {
      failure ??= new Error('the data loader is closed');
      await thread.terminate();
    },
  };
}
