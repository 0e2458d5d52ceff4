import { expect, it } from 'vitest';
import { runLine } from '../../infra/demo/watch.ts';
import type { PendingWork } from '../../src/commands/run-status.ts';
import { type PhaseReport, statusOf } from '../../workflows/messages.ts';

const shard: PendingWork = {
  ...{ activity: 'trainShard', activityId: '7', workflowId: 'first/pretrain', paused: false, phase: 'pretrain' },
  ...{ attempt: 1, waiting: false, lastFailure: null, live: null, beatSecondsAgo: null, nextAttemptSeconds: null },
};
const report = { phase: 'pretrain', from: 0, total: 1600 } as PhaseReport;
const training = statusOf('first', 'training', report, 256, null, 0);
const line = (...pending: PendingWork[]) => runLine({ workflow: training, pending });

it('says that a run waits for a device, and not where a worker has it or an attempt is to be made again', () => {
  expect(line({ ...shard, waiting: true })).toBe('pretrain 0 of 1600  waiting for a device: another run may have it');
  expect(line({ ...shard, live: { step: 0, doing: 'compiling' } })).toBe('pretrain 0 of 1600  compiling');
  expect(line({ ...shard, waiting: true, nextAttemptSeconds: 12 })).toBe('pretrain 0 of 1600');
  expect(line({ ...shard, live: { step: 8, loss: 4.25, examplesPerSecond: 420 } })).toBe(
    'pretrain 8 of 1600  loss 4.250  420 examples/s',
  );
});
