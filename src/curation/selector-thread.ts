import { Worker } from 'node:worker_threads';
import { fromThreadError, type ThreadError } from '../runtime/thread-error.ts';
import type { Selection, SelectionInputs, SelectorSettings } from './selector.ts';

/** What the thread says: that it is ready, once, and then one answer for each question. */
export type FromSelector =
  | { readonly type: 'ready' }
  | { readonly type: 'selection'; readonly selection: Selection }
  | ThreadError;

interface Asked<T> {
  resolve(answer: T): void;
  reject(error: Error): void;
}

/** A selector whose calls go on while the thread that makes them is blocked. */
export interface SelectorThread {
  /** As `Selector.select`, but what it is given moves to the thread: the arrays are empty afterwards. */
  select(inputs: SelectionInputs): Promise<Selection>;
  /** Ends the thread; who waits for a selection is told so. */
  close(): Promise<void>;
}

/** Starts the thread. The selection is compiled when this resolves, since two threads can't trace ops at once. */
export async function openSelectorThread(settings: SelectorSettings): Promise<SelectorThread> {
  const module = new URL('./select-in-thread.ts', import.meta.url).href;
  const thread = new Worker(new URL('../runtime/thread.mjs', import.meta.url), {
    workerData: { module, settings },
    execArgv: [],
  });
  let asked: Asked<Selection | null> | null = null;
  let failure: Error | null = null;
  const answer = (how: (who: Asked<Selection | null>) => void) => {
    const who = asked;
    asked = null;
    thread.unref();
    if (who) how(who);
  };
  const end = (error: Error) => {
    failure ??= error;
    answer(({ reject }) => reject(failure!));
  };
  thread.on('message', (message: FromSelector) =>
    answer(({ resolve, reject }) => {
      if (message.type === 'failed') reject(fromThreadError(message));
      else resolve(message.type === 'selection' ? message.selection : null);
    }),
  );
  thread.on('error', (error) => end(error instanceof Error ? error : new Error(String(error))));
  thread.on('exit', (code) => end(new Error(`the thread that selects ended with code ${code}`)));
  const wait = () =>
    new Promise<Selection | null>((resolve, reject) => {
      asked = { resolve, reject };
      // Only somebody who waits keeps the process up for the thread.
      thread.ref();
    });

  await wait();
  return {
    async select(inputs) {
      if (failure) throw failure;
      thread.postMessage(inputs, buffersOf(inputs));
      return (await wait())!;
    },
    async close() {
      failure ??= new Error('the thread that selects is closed');
      await thread.terminate();
    },
  };
}

const buffersOf = ({ learner, teacher }: SelectionInputs) =>
  [learner, teacher].flatMap((model) => (model ? [model.images.buffer, model.texts.buffer] : [])) as ArrayBuffer[];
