import { getEventListeners } from 'node:events';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { expect, it } from 'vitest';
import { workerEnded } from '../../activities/failures.ts';
import { interruption } from '../../activities/interruption.ts';

it('an attempt is interrupted by Temporal or by its worker, and knows whether it was the worker alone', () => {
  const [cancelled, worker] = [new AbortController(), new AbortController()];
  const attempt = interruption(cancelled.signal, worker.signal);
  expect([attempt.signal.aborted, attempt.byWorker()]).toEqual([false, false]);
  worker.abort();
  expect([attempt.signal.aborted, attempt.byWorker()]).toEqual([true, true]);
  cancelled.abort();
  expect(attempt.byWorker()).toBe(false);
  const late = interruption(new AbortController().signal, worker.signal);
  expect([late.signal.aborted, late.byWorker()]).toEqual([true, true]);
});

it('a worker that makes attempts for weeks keeps nothing of those that are over', () => {
  const worker = new AbortController();
  for (let i = 0; i < 100; i++) interruption(new AbortController().signal, worker.signal).forget();
  expect(getEventListeners(worker.signal, 'abort')).toHaveLength(0);
});

it('what its worker cut short is tried again at once, and is no cancellation', () => {
  const failure = workerEnded(new CancelledFailure('stopped before the first checkpoint'));
  expect(failure).toBeInstanceOf(ApplicationFailure);
  expect(failure).toMatchObject({ nonRetryable: false, nextRetryDelay: '100ms', stack: '' });
  expect(failure.message).toBe('the worker ended: stopped before the first checkpoint');
});
