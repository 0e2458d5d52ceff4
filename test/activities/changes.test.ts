import { expect, it } from 'vitest';
import { changesOf } from '../../activities/changes.ts';
import { tinySettings } from '../train/settings.ts';
import { planOf } from '../workflows/harness.ts';

it('a change of a phase is told by what it was and what it is to be, and only where it is one', () => {
  const plan = planOf('run', 30, 10);
  const { learningRate, weightDecay } = tinySettings.optimizer;
  const { train } = tinySettings.batches.data;
  const overrides = {
    learningRate: 0.5,
    weightDecay,
    xla: 'on',
    batch: 512,
    data: ['data/a', 'data/b'],
    shardSteps: 20,
    minInformation: 0.02,
  };
  expect(changesOf(overrides as never, plan, tinySettings)).toEqual([
    { what: 'learningRate', from: learningRate, to: 0.5 },
    { what: 'xla', from: 'auto', to: 'on' },
    { what: 'batch', from: 2, to: 512 },
    { what: 'data', from: train, to: ['data/a', 'data/b'] },
    { what: 'shardSteps', from: 10, to: 20 },
    { what: 'minInformation', from: 0, to: 0.02 },
  ]);
});
