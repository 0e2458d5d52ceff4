import { expect, it } from 'vitest';
import type { Activities } from '../../activities/types/activities.ts';
import type { EvaluationInput } from '../../activities/types/evaluation.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { resultOf, runPlanOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';
import { start, status, until, waiting } from './runs.ts';

const temporal = testTemporal();

/** A run of five shards that goes on from `base/import@0`; figures by step, and where there is none the evaluation fails. */
function guarded(values: Readonly<Record<number, number>>, action?: 'end', branches: readonly number[] = []) {
  const seen = { shards: [] as number[], compared: [] as string[] };
  const plan = async ({ run }: { run: string }) => {
    const planned = runPlanOf(run, 100, 20);
    const document = { key: `runs/${run}/data/pets.json`, sha256: 'f'.repeat(64) };
    const guard = { task: 'pets', evaluator: 'knn', figure: 'k5.top1', fall: 0.1, ...(action && { action }) };
    const tasks = { documents: [{ name: 'pets', document }], every: 20, guard };
    const { checkpoint } = resultOf({ plan: { run: 'base', phase: 'import' }, revision: 0 } as ShardInput, 0);
    return {
      ...planned,
      phases: planned.phases.map((phase) => ({ ...phase, tasks, branches, origin: { checkpoint } })),
    };
  };
  const stepIn = (key: string) => Number(/@(\d+)/.exec(key)![1]);
  const of: Partial<Activities> = {
    plan,
    trainShard: async (input: ShardInput) => {
      seen.shards.push(input.toStep);
      return resultOf(input, input.toStep);
    },
    planEvaluation: async (input) => {
      const { model, task } = input as EvaluationInput;
      if (values[stepIn(model)] === undefined) throw new RunnerError('DataContract', 'data: there is none');
      const document = task as { key: string; sha256: string };
      return { document, prefix: `${model}/`, parts: { test: 0, train: 0, classes: 0 }, figures: 0, done: true };
    },
    concludeEvaluation: async ({ plan: { prefix } }) => ({ key: prefix, sha256: 'e'.repeat(64), figures: null }),
    guardFigure: async ({ before, key }) => {
      seen.compared.push(`${before} ${key}`);
      return { before: values[stepIn(before)]!, value: values[stepIn(key)]! };
    },
  };
  return { of, seen };
}

it('a phase waits where the figure has fallen further than is allowed, at its end too, and goes on when a person says so', async () => {
  const { of, seen } = guarded({ 0: 0.7, 20: 0.68, 40: 0.5, 80: 0.6, 100: 0.3 });
  await temporal.serving(of, async (client) => {
    const run = await start(client, 'keeps');
    const { failure } = (await waiting(run)).phases[0]!;
    expect(failure).toMatch(
      /^pets knn k5.top1 fell from 0.7 to 0.5 at step 40, and a fall of 0.1 is allowed; retryPhase/,
    );
    expect(seen.shards).toEqual([20, 40]);
    expect(seen.compared).toEqual(['base/import@0/ keeps/pretrain@20/', 'base/import@0/ keeps/pretrain@40/']);
    await run.executeUpdate('retryPhase', { args: [{}] });
    await until(async () => (await status(run)).state === 'waiting' && seen.shards.length === 5);
    expect((await status(run)).phases[0]!.failure).toMatch(/to 0.3 at step 100/);
    await run.executeUpdate('retryPhase', { args: [{}] });
    const { phases } = await run.result();
    expect([seen.shards, phases[0]!.checkpoint.step]).toEqual([[20, 40, 60, 80, 100], 100]);
    const { pretrain } = await run.query<Record<string, { what: string }[]>>('history');
    const lines = pretrain!.map(({ what }) => what);
    expect(lines).toContain('pets knn k5.top1 is 0.6 at step 80, and was 0.7 before the phase');
    expect(lines).toContain('not looked at whether it keeps what it knew at 60: data: there is none');
    await keepHistory(client, 'keeps/pretrain', 'phase-guard.json');
  });
});

it('where the recipe says so it ends at that checkpoint, though not before a step at which another phase begins', async () => {
  const { of, seen } = guarded({ 0: 0.7, 20: 0.68, 40: 0.5 }, 'end');
  await temporal.serving(of, async (client) => {
    const run = await start(client, 'ends');
    const { phases } = await run.result();
    expect([seen.shards, phases[0]!.checkpoint.step]).toEqual([[20, 40], 40]);
    const { pretrain } = await run.query<Record<string, { what: string }[]>>('history');
    expect(pretrain!.map(({ what }) => what)).toContain(
      'ends at step 40, not 100: pets knn k5.top1 fell from 0.7 to 0.5 at step 40, and a fall of 0.1 is allowed',
    );
  });
  const later = guarded({ 0: 0.7, 20: 0.5 }, 'end', [60]);
  await temporal.serving(later.of, async (client) => {
    const run = await start(client, 'branched');
    expect((await waiting(run)).phases[0]!.failure).toMatch(/fell from 0.7 to 0.5 at step 20/);
    await run.terminate();
  });
});
