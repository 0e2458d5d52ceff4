import { expect, it } from 'vitest';
import { costLines } from '../../src/commands/format-costs.ts';
import type { PendingWork, RunStatus } from '../../src/commands/run-status.ts';
import { nothingUsed, type Used } from '../../src/costs/used.ts';
import { runStatusOf } from '../../workflows/messages.ts';
import { PhaseGraph } from '../../workflows/phase-graph.ts';
import { planOf, resultOf } from '../workflows/harness.ts';

const used = (trained: number, more: Partial<Used> = {}): Used => ({
  ...nothingUsed,
  ms: { trained: trained * 36_000, preparing: 36_000 },
  cost: { trained, preparing: 1 },
  currency: 'USD',
  ...more,
});

/** A run whose first phase is at step 40 of 100, and whose second has not begun. */
function running(of: Used | undefined): RunStatus {
  const plans = [planOf('paid', 100, 20), { ...planOf('paid', 50, 20), phase: 'naflex' }];
  const graph = new PhaseGraph(plans);
  const last = resultOf({ plan: plans[0]!, revision: 0, parent: null, from: null, toStep: 40 }, 40);
  const spent = { deviceMs: 1, began: 0, ...(of && { used: of }) };
  graph.record({ phase: 'pretrain', state: 'training', from: 0, total: 100, revision: 0, last, spent });
  const workflow = runStatusOf('paid', 'training', graph, null, 0);
  const none = { workerSecondsAgo: null, result: null, newest: null, problems: [] };
  return { run: 'paid', temporal: 'RUNNING', workflow, pending: [], ...none };
}

it('a status tells what was spent and for what, and what it comes to by what a step has cost', () => {
  // 20 for 40 steps, and 30 more for the 60 that are left.
  expect(costLines(running(used(19)))).toEqual([
    '  spent 20.00 USD (trained 19.00, preparing 1.00)',
    '  0.20 h of a device (trained 95.0 %, preparing 5.0 %)',
    '  about 50.00 USD at its end, without naflex and evaluations',
  ]);
});

it('a status adds what is being trained just now', () => {
  const status = running(used(19));
  const work: PendingWork = {
    ...{ activity: 'trainShard', activityId: '7', workflowId: 'paid/pretrain', paused: false, phase: 'pretrain' },
    ...{ attempt: 1, waiting: false, lastFailure: null, beatSecondsAgo: 0, nextAttemptSeconds: null },
    live: { step: 50, used: used(4) },
  };
  const [spent, , end] = costLines({ ...status, pending: [work] });
  expect(spent).toBe('  spent 25.00 USD (trained 23.00, preparing 2.00)');
  expect(end).toBe('  about 50.00 USD at its end, without naflex and evaluations');
});

it('a status without a price tells device time alone, and of a run of an older release nothing', () => {
  expect(costLines(running(used(19, { cost: {}, unpricedMs: 720_000 })))).toEqual([
    '  0.20 h of a device (trained 95.0 %, preparing 5.0 %)',
  ]);
  expect(costLines(running(undefined))).toEqual([]);
});
