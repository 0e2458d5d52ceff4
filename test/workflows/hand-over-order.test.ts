import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, vi } from 'vitest';
import { HandOver } from '../../workflows/hand-over.ts';

/** A workflow whose history is full, without a server: the moment that is looked at here is a matter of one activation. */
vi.mock('@temporalio/workflow', async (original) => ({
  ...(await original<object>()),
  patched: () => true,
  allHandlersFinished: () => true,
  workflowInfo: () => ({ continueAsNewSuggested: true }),
  getExternalWorkflowHandle: () => ({ signal: async () => {} }),
  CancellationScope: { current: () => ({ cancelRequested: new Promise(() => {}) }) },
  condition: async (isTrue: () => boolean) => {
    while (!isTrue()) await delay(1);
  },
}));

it('a phase that fails as its run is about to begin a new history has failed in that one, and is reported on before', async () => {
  const handOver = new HandOver();
  let fail = (_: Error) => {};
  const child = handOver.child('broken', 'run/broken', () => new Promise<never>((_, reject) => (fail = reject)));
  handOver.look();
  let isReady = false;
  const ready = handOver.ready('run').then(() => {
    isReady = true;
  });
  let written = () => {};
  // As a run does where a phase fails.
  const phase = child.catch(async (error) => {
    handOver.failed('broken', error);
    await handOver.during(() => new Promise<void>((resolve) => (written = resolve)));
  });
  await delay(5);
  fail(new Error('the disk is full'));
  await delay(20);
  expect(isReady).toBe(false);
  written();
  await Promise.all([phase, ready]);
  expect(handOver.carried(1)).toEqual([
    ['broken', { failure: expect.objectContaining({ message: 'the disk is full' }) }],
  ]);
});
