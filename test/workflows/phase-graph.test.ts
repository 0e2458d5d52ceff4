import { expect, it } from 'vitest';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { PhaseReport } from '../../workflows/messages.ts';
import { PhaseGraph } from '../../workflows/phase-graph.ts';
import { planOf, resultOf } from './harness.ts';

const at = (step: number) => ({ step, examples: 2 * step });
const trunk: PhasePlan = { ...planOf('run', 30, 10), branches: [10] };
const after = (phase: string, from: number): PhasePlan => ({
  ...trunk,
  ...{ phase, origin: { phase: 'pretrain' }, branches: [], from: at(from), to: at(from + 20) },
});
const plans = [trunk, after('constructor', 10), after('distill', 30), after('naflex', 30)];
const report = (phase: string, step: number, more: Partial<PhaseReport> = {}): PhaseReport => {
  const plan = plans.find((one) => one.phase === phase)!;
  const last = resultOf({ plan, revision: 0, parent: null, from: null, toStep: step }, step);
  return { ...{ phase, state: 'training', from: plan.from.step, total: plan.to.step, revision: 0, last }, ...more };
};

it('a graph of phases keeps its reports, branch points and ends in the next history, whatever phases are named', async () => {
  const graph = new PhaseGraph(plans);
  graph.record(report('pretrain', 10));
  graph.record(report('pretrain', 20, { notes: [{ at: '2026-01-01T00:00:00Z', step: 15, what: 'limits {}' }] }));
  graph.record(report('constructor', 20, { state: 'waiting', failure: 'the disk is full' }));
  graph.noteRun('a signal was dropped');
  graph.ended('distill', null);
  const carried = JSON.parse(JSON.stringify(graph.carried()));
  expect(carried.checkpoints.map(([name]: [string]) => name)).toEqual(['pretrain@10']);
  const again = new PhaseGraph(plans, carried);
  expect(again.reports).toEqual([
    report('pretrain', 20),
    report('constructor', 20, { state: 'waiting', failure: 'the disk is full' }),
  ]);
  expect(again.history).toEqual(graph.history);
  expect(Object.keys(again.history)).toEqual(['pretrain', 'constructor', '(run)']);
  expect(again.history.pretrain!.map(({ step, what }) => `${step} ${what}`)).toEqual([
    '10 training',
    '15 limits {}',
    '20 training',
  ]);
  expect(again.carried()).toEqual(carried);
  expect(again.problem({ kind: 'extend', steps: 5 }, 'pretrain')).toBe(
    'extend is refused: distill and naflex begin where phase pretrain was planned to end',
  );
});

it('a history of a hundred phases with all that ever happened to them is carried over within what Temporal takes', () => {
  const many = Array.from({ length: 100 }, (_, i) => ({ ...trunk, phase: `phase-${i}` }));
  const graph = new PhaseGraph(many);
  for (const { phase } of many)
    for (let line = 0; line < 300; line++)
      graph.record({ ...report('pretrain', line + 1), phase, failure: 'x'.repeat(600), state: 'waiting' });
  // 2 MB for an input; as much again is carried by the phases themselves.
  expect(JSON.stringify(graph.carried()).length).toBeLessThan(900_000);
});
