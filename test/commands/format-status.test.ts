import { expect, it } from 'vitest';
import { formatStatus } from '../../src/commands/format-status.ts';
import type { RunStatus } from '../../src/commands/run-status.ts';

const statusWith = (objectives?: Record<string, number>): RunStatus => ({
  run: 'first',
  temporal: 'RUNNING',
  workflow: null,
  pending: [],
  newest: {
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
