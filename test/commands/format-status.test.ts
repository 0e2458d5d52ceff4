import { describe, expect, it } from 'vitest';
import type { ShardResult } from '../../activities/types/shard.ts';
import { formatStatus } from '../../src/commands/format-status.ts';
import type { PendingWork, RunStatus } from '../../src/commands/run-status.ts';
import { type PhaseState, statusOf } from '../../workflows/messages.ts';
import type { PhaseResult } from '../../workflows/results.ts';
import { planOf, resultOf } from '../workflows/harness.ts';

const statusWith = (objectives?: Record<string, number>): RunStatus => ({
  run: 'first',
  temporal: 'RUNNING',
  workflow: null,
  workerSecondsAgo: null,
  result: null,
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
    ...{ attempt: 1, waiting: false, lastFailure: null, live, beatSecondsAgo: 0, nextAttemptSeconds: null },
  };
  const computed = (of: object) => formatStatus({ ...status, pending: [{ ...work, live: { ...live, ...of } }] });
  expect(computed({ precision: 'bf16', xla: 'off' })).toContain('100 examples/s, in bf16\n');
  expect(computed({ precision: 'f32', xla: 'on' })).toContain('100 examples/s, in f32 with XLA\n');
  const parts = { load: 1.84, connect: 0.1, wait: 0.72, trainer: 2, fetch: 0.1, compile: 1.32, state: 0.4, step: 0.85 };
  expect(computed({ firstStep: { ...parts, total: 7.22 } })).toContain(
    '\n  its worker made its first step after 6.5 s, and had waited 0.7 s for work: load 1.8, connect 0.1, trainer 2.0, fetch 0.1, compile 1.3, state 0.4, step 0.8\n',
  );
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

it('tells what was not used of the data, and why', () => {
  const plan = { ...planOf('first', 80, 10), phase: 'acid' };
  const last = resultOf({ plan, revision: 0, parent: null, from: null, toStep: 40 }, 40);
  const reasons = [
    { reason: 'the JSON member has NaN, which is not JSON', members: 7, example: 'd/1.tar a: behind "x", character 9' },
    { reason: 'other reasons', members: 1, example: '' },
  ];
  const of = (skipped: ShardResult['skipped']) => {
    const report = { phase: 'acid', state: 'training' as const, from: 0, total: 80, revision: 0, batch: 4 };
    const status = statusOf(
      'first',
      'training',
      { ...report, last: { ...last, ...(skipped && { skipped }) } },
      4,
      null,
      0,
    );
    return formatStatus({ ...statusWith(), workflow: status });
  };
  expect(of({ members: 8, of: 16, reasons })).toContain(
    '\n  not used: 8 of 16 members of the data: 7 the JSON member has NaN, which is not JSON (d/1.tar a: behind "x", character 9); 1 other reasons\n',
  );
  expect(of({ members: 10_000, orMore: true, reasons })).toContain('  not used: 10000 or more members of the data: 7 ');
  expect(of(undefined)).not.toContain('not used');
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
    ...{ waiting: false, nextAttemptSeconds: null, lastFailure: null, live, beatSecondsAgo: 0 },
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

describe('what a person goes by', () => {
  const report = { phase: 'pretrain', from: 0, total: 90, revision: 0, batch: 4, last: null };
  const at = (state: PhaseState) => statusOf('first', state, { ...report, state }, 4, null, 0);
  const lines = (status: Partial<RunStatus>) => formatStatus({ ...statusWith(), newest: null, ...status }).split('\n');
  const queued = { activity: 'trainShard', activityId: '7', workflowId: 'first/pretrain', paused: false } as const;
  const work = { ...queued, phase: 'pretrain', attempt: 1, waiting: true, lastFailure: null, live: null } as const;

  it('tells a shard that is queued from one that is tried again, and when', () => {
    const pending = (change: Partial<PendingWork>) =>
      lines({
        workflow: at('training'),
        pending: [{ ...work, nextAttemptSeconds: null, beatSecondsAgo: null, ...change }],
      });
    expect(pending({})[2]).toBe('  trainShard: queued');
    expect(
      pending({ attempt: 3, nextAttemptSeconds: 12, lastFailure: 'no answer from the store' }).slice(2, 4),
    ).toEqual(['  trainShard, attempt 3: tried again in 12 s', '  before that: no answer from the store']);
  });

  it('says that no worker answers only when none does', () => {
    expect(lines({})[1]).toBe('  no worker answers: npm run worker starts one');
    expect(lines({ workerSecondsAgo: 40 })[1]).toBe(
      '  no answer within 2 s: the worker, last heard of 40 s ago, is busy or has just gone',
    );
    expect(lines({ temporal: 'COMPLETED' })[1]).toBe('  no checkpoint yet');
  });

  it('names every command that a phase which stands still goes on with', () => {
    const update = '  go on with: temporal workflow update execute --workflow-id first --name ';
    const other = 'or --name retryPhase to go on with other settings, or --name abandonPhase';
    expect(lines({ workflow: at('paused') })[2]).toBe(`${update}resume, ${other}`);
    // Tried again with other settings it stands at the same limit.
    expect(lines({ workflow: at('limit') })[2]).toBe(
      `${update}setLimits with a higher one, or with null for none, or --name abandonPhase`,
    );
    expect(lines({ workflow: at('waiting') })[2]).toBe(`${update}retryPhase, or --name abandonPhase`);
  });

  it('shows what a run that is done has become', () => {
    const figures = { classes: 1594, examples: 1594, left_out: 0, top1: 0.112, top5: 0.309, chance: 0.001 };
    const recall = { r1: 0.118, r5: 0.3, r10: 0.4, chance_r1: 0.001 };
    const evaluation = {
      zero_shot: { language: 'en', ...figures, times_chance: 179, by_language: { en: figures, de: { top1: 0.028 } } },
      retrieval: { image_to_text: recall, text_to_image: { ...recall, r1: 0.12 } },
    };
    const phase = {
      phase: 'pretrain',
      checkpoint: { step: 240 },
      evaluation: { key: 'k', report: evaluation },
      export: { uri: 's3://siglip2/runs/first/export/pretrain-240/' },
    } as unknown as PhaseResult;
    const result = { run: 'first', data: { examples: 9, corrupt: 0 }, phases: [phase, { ...phase, evaluation: null }] };
    expect(lines({ temporal: 'COMPLETED', result }).slice(1, 6)).toEqual([
      '  pretrain@240: zero-shot top-1 11.2 % (179 times chance), top-5 30.9 %, 1,594 classes, image to text R@1 11.8 %, text to image R@1 12.0 %, texts in en',
      '    other languages, top-1: de 2.8 %',
      '    export s3://siglip2/runs/first/export/pretrain-240/',
      '  pretrain@240',
      '    export s3://siglip2/runs/first/export/pretrain-240/',
    ]);
  });
});

it('tells of a filter how much it left, or what it is at, and of no checkpoint', () => {
  const report = {
    ...{
      name: 'clean',
      examples: 200,
      kept: 150,
      masked: { 'it is boilerplate': 50 },
      broken: 0,
      notes: {},
      shards: 2,
    },
  };
  const of = (temporal: string, state: PhaseState, doing: string | null, ended: unknown) =>
    formatStatus({
      ...{ ...statusWith(), run: 'filter-clean', temporal, newest: null },
      workflow: { ...statusOf('filter-clean', state, null, 1, null, 0), doing },
      data: { type: 'siglip2Filter', report: ended },
    });
  expect(of('RUNNING', 'planning', 'indexed 3 of 9 shards', null)).toBe(
    'filter-clean: running\n  indexed 3 of 9 shards\n',
  );
  const done = of('COMPLETED', 'done', null, report).split('\n');
  expect(done.slice(0, 3)).toEqual([
    'filter-clean: done',
    '  filter clean: 150 of 200 examples remain (75.0 %), in 2 shards',
    '    left out: 50 (25.0 %), it is boilerplate',
  ]);
  expect(done.join()).not.toContain('checkpoint');
});
