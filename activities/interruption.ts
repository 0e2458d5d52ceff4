/**
 * One signal of two: that Temporal has cancelled an attempt, and that its worker ends. `forget` lets go of the worker's, which
 * outlives all attempts.
 */
export function interruption(cancelled: AbortSignal, worker: AbortSignal | undefined) {
  const either = new AbortController();
  const abort = () => either.abort();
  for (const signal of [cancelled, worker]) {
    if (signal?.aborted) abort();
    signal?.addEventListener('abort', abort, { once: true });
  }
  return {
    signal: either.signal,
    /** Whether the worker alone wants it. */
    byWorker: () => worker?.aborted === true && !cancelled.aborted,
    forget() {
      for (const signal of [cancelled, worker]) signal?.removeEventListener('abort', abort);
    },
  };
}
