import { describe, expect, it } from 'vitest';
import { formatStatus } from '../../src/commands/format-status.ts';
import type { PendingWork, RunStatus } from '../../src/commands/run-status.ts';
import { type PhaseState, statusOf } from '../../workflows/messages.ts';
import { planOf, resultOf } from '../workflows/harness.ts';

const statusWith = (objectives?: Record<string, number>): RunStatus => ({
  run: 'first',
  temporal: 'RUNNING',
  workflow: null,
  pending: [],
  newest: {
    run: 'first',
    phase: 'pretrain',
    step: 40,
    revision: 0,
    sha256: 'f'.repeat(64),
    committed: '2026-01-01T00:00:00Z',
    metrics: { loss: 4.5, ...(objectives && { objectives }), examplesPerSecond: 100, dataWaitShare: 0 },
  },
  problems: [],
});

it('tells the loss of each objective where there are several, and one loss of older checkpoints', () => {
  const several = { 'loss/sigmoid': 2.25, 'loss/captioning': 4.5, 'captioning/tokens': 12 };
  expect(formatStatus(statusWith(several))).toContain('loss 4.500 (sigmoid 2.250, captioning 4.500), 100 examples/s');
  expect(formatStatus(statusWith({ 'loss/sigmoid': 4.5 }))).toContain('loss 4.500, 100 examples/s');
  expect(formatStatus(statusWith())).toContain('loss 4.500, 100 examples/s');
});

it('tells the mean loss since the last record where that is more than one step, and what is odd about the machine', () => {
  const status = statusWith({ 'loss/sigmoid': 4.5 });
  const { newest } = status;
  const withMean = (mean: number) => ({
    ...status,
    newest: { ...newest!, metrics: { ...newest!.metrics, figures: { 'loss/mean': mean } } },
  });
  expect(formatStatus(withMean(4.61))).toContain('loss 4.500, mean loss 4.610, 100 examples/s');
  expect(formatStatus(withMean(4.5))).toContain('loss 4.500, 100 examples/s');
  const live = { step: 41, loss: 4.25, figures: { 'loss/mean': 4.75 }, remark: 'this CPU (avx2) is another' };
  const work: PendingWork = {
    ...{ activity: 'trainShard', activityId: '7', workflowId: 'first/pretrain', paused: false, phase: 'pretrain' },
    ...{ attempt: 1, waiting: false, lastFailure: null, live, beatSecondsAgo: 0 },
  };
  const text = formatStatus({ ...withMean(4.61), pending: [work] });
  expect(text).toContain('step 41, loss 4.250, mean loss 4.750, 100 examples/s');
  expect(text).toContain('\n  trainShard\n  this CPU (avx2) is another\n');
});

it('tells of a phase of curation what the chosen are worth, and from which sources they come', () => {
  const figures = {
    'loss/sigmoid': 4.5,
    'curation/chosen': 1.25,
    'curation/rejected': -0.5,
    'source/web/candidates': 0.4,
    'source/web/chosen': 0.25,
    'source/noise/candidates': 0.1,
  };
  expect(formatStatus(statusWith(figures))).toContain(
    '  curation: mean score of the chosen 1.250, of the rejected -0.500; web 40.0 % -> 25.0 %, noise 10.0 % -> 0.0 %\n',
  );
  expect(formatStatus(statusWith({ ...figures, 'curation/waitShare': 0.124 }))).toContain(
    'of the rejected -0.500, 12 % waiting for choices; web',
  );
  expect(formatStatus(statusWith({ 'loss/sigmoid': 4.5 }))).not.toContain('curation');
});

describe('where two phases are open', () => {
  // pretrain is at 60 of 90, with the newest checkpoint of the run; acid began later, and is at 40 of 80.
  const report = (phase: string, state: PhaseState, step: number, total: number) => {
    const plan = { ...planOf('first', total, 10), phase };
    const last = resultOf({ plan, revision: 0, parent: null, from: null, toStep: step }, step);
    return { phase, state, from: 0, total, revision: 0, batch: 4, last };
  };
  const shown = (state: PhaseState) => statusOf('first', state, report('acid', state, 40, 80), 4, null, 0);
  const committed = { ...statusWith({ 'curation/chosen': 1, 'curation/rejected': 0 }).newest!, step: 60 };
  const shard = (phase: string | null, live: PendingWork['live']): PendingWork => ({
    ...{ activity: 'trainShard', activityId: '7', workflowId: `first/${phase}`, paused: false, phase, attempt: 1 },
    ...{ waiting: false, lastFailure: null, live, beatSecondsAgo: 0 },
  });
  const lines = (status: Partial<RunStatus>) =>
    formatStatus({ ...statusWith(), newest: committed, ...status }, Date.parse('2026-01-01T00:01:00Z')).split('\n');

  it('takes steps and figures from the one that is shown, and the last checkpoint from whichever has it', () => {
    expect(lines({ workflow: shown('training') })).toEqual([
      'first: training',
      '  phase acid, step 40 of 80 (50.0 %)',
      '  last checkpoint first/pretrain@60, 1 min 0 s ago, sha256 ffffffffffff...',
      '',
    ]);
    const own = lines({ workflow: shown('training'), newest: { ...committed, phase: 'acid' } });
    expect(own.slice(1, 3)).toEqual([
      '  phase acid, step 60 of 80 (75.0 %), loss 4.500, 100 examples/s, about 1 s left',
      '  curation: mean score of the chosen 1.000, of the rejected 0.000',
    ]);
  });

  it('says of each what it does', () => {
    const pending = [shard('pretrain', { step: 77, loss: 3 }), shard('acid', { step: 44, loss: 2 })];
    expect(lines({ workflow: shown('training'), pending }).slice(1, 4)).toEqual([
      '  phase acid, step 44 of 80 (55.0 %), loss 2.000',
      '  phase pretrain: trainShard',
      '  trainShard',
    ]);
    expect(lines({ workflow: shown('waiting'), pending: [pending[0]!] }).slice(1, 4)).toEqual([
      '  phase acid, step 40 of 80 (50.0 %)',
      '  go on with: temporal workflow update execute --workflow-id first --name retryPhase, or --name abandonPhase',
      '  phase pretrain: trainShard',
    ]);
  });

  it('takes what a phase that was started alone does for its own', () => {
    const alone = { workflow: shown('training'), pending: [shard(null, { step: 44, loss: 2 })] };
    expect(lines(alone)[1]).toBe('  phase acid, step 44 of 80 (55.0 %), loss 2.000');
  });
});
