import { expect, it } from 'vitest';
import type { FilterStage, FilterStep } from '../../src/filtering/plan.ts';
import type { FilterReport } from '../../src/filtering/report.ts';
import { long } from '../support/long.ts';
import { testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';

const temporal = testTemporal();

const report = { examples: 9 } as FilterReport;
const document = { key: 'filters/large/plans/plan-a.json', sha256: 'a'.repeat(64) };
const begun = { document, name: 'large', filter: 'b'.repeat(64) };

/** Activities that note down in which order they were called. */
function weighing(stages: readonly FilterStage[]) {
  const done: string[] = [];
  const weigh = async <S>({ step, part }: { step: S; part: number }) => {
    done.push(`${step} ${part}`);
    return { step };
  };
  const planFilter = async () => ({ ...begun, stages });
  return { done, of: { planFilter, filterStep: weigh, embedShard: weigh, reportFilter: async () => report } };
}
const partsOf = (stages: readonly FilterStage[]) =>
  stages.flatMap(({ step, parts }) => Array.from({ length: parts }, (_, part) => `${step} ${part}`));

// More than five hundred activities take half a minute.
it.runIf(long)('a filter indexes its shards, takes one step after the other, and each in parts', async () => {
  const one = (step: FilterStep, parts = 1): FilterStage => ({ step, parts });
  const stages = [one('embed', 2), one('bound'), one('look', 2), one('compare'), one('settle'), one('weigh', 2)];
  const { done, of } = weighing(stages);
  await temporal.serving({ ...of, findShards: async () => ({ document, shards: 2 }) }, async (client) => {
    const start = { taskQueue: 'siglip2', workflowId: 'small-filter', args: [{ name: 'small' }] };
    expect(await (await client.workflow.start('siglip2Filter', start)).result()).toEqual(report);
    const steps = (parts: readonly string[]) => [...new Set(parts.map((part) => part.split(' ')[0]))];
    expect(steps(done)).toEqual(stages.map(({ step }) => step));
    expect(done.toSorted()).toEqual(partsOf(stages).toSorted());
    await keepHistory(client, 'small-filter', 'filter.json');
  });
});

it.runIf(long)(
  'a filter of more than 500 parts weighs each once, and hands what is left to another history',
  async () => {
    const stages = [
      { step: 'embed', parts: 498 },
      { step: 'bound', parts: 1 },
      { step: 'look', parts: 4 },
      { step: 'weigh', parts: 1 },
    ] as const;
    const { done, of } = weighing(stages);
    await temporal.serving(of, async (client) => {
      const start = { taskQueue: 'siglip2', workflowId: 'large-filter', args: [{}] };
      const handle = await client.workflow.start('siglip2Filter', start);
      expect(await handle.result()).toEqual(report);
      expect(done.toSorted()).toEqual(partsOf(stages).toSorted());
      const { runId } = (await handle.describe()).raw.workflowExecutionInfo!.execution!;
      expect(runId).not.toBe(handle.firstExecutionRunId);
      await keepHistory(client, 'large-filter', 'filter-next-of-many.json', runId!);
    });
  },
);
