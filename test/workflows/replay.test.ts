import { readFileSync } from 'node:fs';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundled } from './harness.ts';
import { histories } from './histories.ts';

let workflowBundle: Awaited<ReturnType<typeof bundled>>;
beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  workflowBundle = await bundled();
});

describe('a run that began under this code', () => {
  it.each([
    ['recipe.json', 'whole'],
    ['phase.json', 'whole/pretrain'],
    ['recipe-reported.json', 'whole'],
    ['evaluation-with-sheet.json', 'tasks/pretrain/good-20'],
    ['phase-alone.json', 'alone/finer'],
    ['phase-paced.json', 'paced/pretrain'],
    ['phase-other.json', 'other/pretrain'],
    ['recipe-other.json', 'other'],
    ['recipe-indexed.json', 'indexed'],
    ['phase-limited.json', 'limited/pretrain'],
    ['phase-went-back.json', 'patient/pretrain'],
    ['phase-cut-short.json', 'cut-short/acid'],
    ['phase-timed.json', 'limited/pretrain'],
    ['phase-paid.json', 'paid/pretrain'],
    ['phase-rounds.json', 'rounds/pretrain'],
    // Of a run that had several histories.
    ['recipe-first-of-many.json', 'long'],
    ['recipe-next-of-many.json', 'long'],
    ['phase-handed-over.json', 'long/broken'],
    // From before changes that stand behind `patched`.
    ['recipe-graph.json', 'graph'],
    ['recipe-abandoned.json', 'broken-branch'],
    ['phase-abandoned.json', 'broken-branch/branch'],
    ['recipe-cancelled.json', 'cancelled'],
    ['phase-cancelled.json', 'cancelled/pretrain'],
    ['recipe-reset.json', 'open-run'],
    ['recipe-begins-above.json', 'begins'],
    ['phase-begins-above.json', 'begins/pretrain'],
    ['recipe-left-tidy.json', 'cancelled'],
    ['phase-left-tidy.json', 'cancelled/pretrain'],
    ['phase-counted-revisions.json', 'patient/pretrain'],
    ['phase-told-of-training.json', 'cut-short/acid'],
    ['phase-activity-paused.json', 'asked/pretrain'],
    ['annotation.json', 'squares'],
    ['recipe-with-tasks.json', 'tasks'],
    ['phase-with-tasks.json', 'tasks/pretrain'],
    ['evaluation.json', 'evaluation'],
    ['evaluation-next-of-many.json', 'next-evaluation'],
    ['pack.json', 'pack-out'],
    ['annotation-next-of-many.json', 'next'],
    ['filter.json', 'small-filter'],
    ['filter-next-of-many.json', 'large-filter'],
    ['embed.json', 'embed-emoji'],
    ['embed-next-of-many.json', 'embed-large'],
  ])('is still understood: %s', async (file, workflowId) => {
    const text = readFileSync(new URL(file, histories), 'utf8');
    expect(text).not.toMatch(/\/\w[^"\s]*\/node_modules\//);
    const history = JSON.parse(text);
    await Worker.runReplayHistory({ workflowBundle }, history, workflowId);
  });

  it('would not go unnoticed if it were not', async () => {
    const history = JSON.parse(readFileSync(new URL('phase.json', histories), 'utf8'));
    const first = history.events.find(
      (event: { eventType: string }) => event.eventType === 'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED',
    );
    first.activityTaskScheduledEventAttributes.activityType.name = 'anotherActivity';
    await expect(Worker.runReplayHistory({ workflowBundle }, history, 'whole/pretrain')).rejects.toMatchObject({
      name: 'DeterminismViolationError',
    });
  });
});
