import { Worker } from 'node:worker_threads';
import { type ErrorCode, RunnerError } from '../runtime/errors.ts';
import type { Batch, BatchPlan, BatchSource, DataIndex } from './types.ts';

export interface BatchOptions {
  /** Local file that holds the DataIndex as JSON, or the index itself. */
  readonly index: string | DataIndex;
  readonly plan: BatchPlan;
  readonly firstBatch: number;
  /** Batches that are left out, ascending: `firstBatch` counts the others. */
  readonly skip?: readonly number[];
  /** Batches that are kept ready, 4. */
  readonly prefetch?: number;
  /** Told when reading waits for something, such as a store that is away. */
  readonly note?: (text: string) => void;
  /** Environment in which the thread finds its store, `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
}

/** What the thread is started with. */
export interface LoaderSettings {
  readonly index: string | DataIndex;
  readonly plan: BatchPlan;
  readonly firstBatch: number;
  readonly skip: readonly number[];
  readonly prefetch: number;
  readonly env: Record<string, string | undefined>;
}

export type FromLoader =
  | { readonly type: 'batch'; readonly batch: Batch }
  | { readonly type: 'note'; readonly text: string }
  | {
      readonly type: 'failed';
      readonly code: string | null;
      readonly message: string;
      readonly details: Record<string, unknown>;
    };

/** One batch was taken: the thread may make another. */
export type ToLoader = 'taken';

/**
 * Batches from `firstBatch` on, made ahead in a thread of their own. What batch k holds depends on (index, plan, k)
 * alone, so opening at k goes on exactly where a killed process was.
 */
export function openBatches({
  index,
  plan,
  firstBatch,
  skip = [],
  prefetch = 4,
  note,
  env = process.env,
}: BatchOptions): BatchSource {
  const settings: LoaderSettings = { index, plan, firstBatch, skip, prefetch, env: { ...env } };
  const ready: Batch[] = [];
  const waiting: { resolve: (batch: Batch) => void; reject: (error: Error) => void }[] = [];
  let failure: Error | null = null;

  // Whoever started this process may not have set tsx up for threads, so the thread does so itself.
  const thread = new Worker(new URL('./batch-thread.mjs', import.meta.url), { workerData: settings, execArgv: [] });
  thread.unref();
  const fail = (error: Error) => {
    failure ??= error;
    for (const { reject } of waiting.splice(0)) reject(failure);
  };
  const take = (batch: Batch) => {
    thread.postMessage('taken' satisfies ToLoader);
    return batch;
  };
  thread.on('message', (message: FromLoader) => {
    if (message.type === 'note') note?.(message.text);
    else if (message.type === 'failed') fail(restored(message));
    else {
      const first = waiting.shift();
      if (first) first.resolve(take(message.batch));
      else ready.push(message.batch);
    }
  });
  thread.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))));
  thread.on('exit', (code) => fail(new Error(`the data loader ended with code ${code}`)));

  return {
    next() {
      const batch = ready.shift();
      if (batch) return Promise.resolve(take(batch));
      if (failure) return Promise.reject(failure);
      // Only somebody who waits keeps the process up for the thread.
      thread.ref();
      return new Promise<Batch>((resolve, reject) => waiting.push({ resolve, reject })).finally(() => {
        if (waiting.length === 0) thread.unref();
      });
    },
    async close() {
      failure ??= new Error('the batches are closed');
      await thread.terminate();
    },
  };
}

function restored({ code, message, details }: Extract<FromLoader, { type: 'failed' }>): Error {
  return code === null ? new Error(message) : new RunnerError(code as ErrorCode, message, { details });
}
