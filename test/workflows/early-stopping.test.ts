import { EventEmitter, once } from 'node:events';
import { expect, it } from 'vitest';
import type { Activities } from '../../activities/types/activities.ts';
import type { EvaluationInput } from '../../activities/types/evaluation.ts';
import type { ExportInput, Watched } from '../../activities/types/phase-end.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { ShardInput, SweepInput } from '../../activities/types/shard.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { PhaseEvent } from '../../workflows/messages.ts';
import { resultOf, runPlanOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';
import { start, status, until } from './runs.ts';

const temporal = testTemporal();
const best = { task: 'pets', evaluator: 'knn', figure: 'k5.top1' };

interface Scene {
  /** The figure at each step; where there is none the evaluation fails. */
  readonly values: Readonly<Record<number, number>>;
  readonly branches?: PhasePlan['branches'];
  readonly restoreBest?: boolean;
}

/** Runs of five shards with an evaluation after each, by their names. */
function scenes(runs: Readonly<Record<string, Scene>>) {
  const seen = {
    shards: [] as number[],
    looked: {} as Record<string, number[]>,
    exported: [] as number[],
    ended: [] as number[],
  };
  const known = new Map<string, Map<number, number>>();
  const plan = async ({ run }: { run: string }) => {
    const document = { key: `runs/${run}/data/pets.json`, sha256: 'f'.repeat(64) };
    const { branches = [], restoreBest = true } = runs[run]!;
    const earlyStopping = { patience: 2, threshold: 0, restoreBest };
    const tasks = { documents: [{ name: 'pets', document }], every: 20, best, earlyStopping };
    const planned = runPlanOf(run, 100, 20);
    return { ...planned, phases: planned.phases.map((phase) => ({ ...phase, keep: 2, tasks, branches })) };
  };
  const of: Partial<Activities> = {
    plan,
    trainShard: async (input: ShardInput) => {
      seen.shards.push(input.toStep);
      return resultOf(input, input.toStep);
    },
    planEvaluation: async (input) => {
      const { model, task } = input as EvaluationInput;
      const [run, step] = model.split('/pretrain@');
      if (runs[run!]!.values[Number(step)] === undefined) throw new RunnerError('DataContract', 'data: there is none');
      const document = task as { key: string; sha256: string };
      return { document, prefix: `${model}/`, parts: { test: 0, train: 0, classes: 0 }, figures: 0, done: true };
    },
    keepBest: async () => ({ step: 0, value: 0 }),
    concludeEvaluation: async ({ plan: { prefix } }) => ({ key: prefix, sha256: 'e'.repeat(64), figures: null }),
    watchFigure: async ({ plan, checkpoint: { step } }): Promise<Watched> => {
      seen.looked[plan.run] = [...(seen.looked[plan.run] ?? []), step];
      const { values } = runs[plan.run]!;
      const own = known.get(plan.run) ?? new Map<number, number>();
      known.set(plan.run, own.set(step, values[step]!));
      const [top, value] = [...own].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0]!;
      const without = [...own.keys()].filter((at) => at > top).length;
      return {
        figure: 'pets knn k5.top1',
        step,
        value: values[step]!,
        best: { step: top, value },
        without,
        patience: 2,
      };
    },
    bestWatched: async ({ plan }) => {
      const [top] = [...known.get(plan.run)!].sort((a, b) => b[1] - a[1] || a[0] - b[0])[0]!;
      return resultOf({ plan, revision: 0 } as ShardInput, top);
    },
    exportModel: async ({ plan: { run }, checkpoint }: ExportInput) => {
      seen.exported.push(checkpoint.step);
      return {
        uri: `s3://bucket/runs/${run}/export/`,
        prefix: `runs/${run}/export/`,
        bytes: 1,
        sha256: 'e'.repeat(64),
      };
    },
    sweep: async ({ ended }: SweepInput) => {
      if (ended) seen.ended.push(ended.step);
      return { prefixes: 0, uploads: 0 };
    },
  };
  return { of, seen };
}

const linesOf = async (run: Awaited<ReturnType<typeof start>>) => {
  const { pretrain } = await run.query<Record<string, PhaseEvent[]>>('history');
  return pretrain!.map(({ what }) => what);
};

it('a phase ends where its figure has not risen for as long as it has patience, and hands on the best where that is wished', async () => {
  const { of, seen } = scenes({ stops: { values: { 20: 0.1, 40: 0.3, 60: 0.2, 80: 0.25, 100: 0.9 } } });
  await temporal.serving(of, async (client) => {
    const run = await start(client, 'stops');
    const { phases } = await run.result();
    expect(seen.shards).toEqual([20, 40, 60, 80]);
    expect(seen.looked.stops).toEqual([20, 40, 60, 80]);
    expect(phases[0]!.checkpoint.step).toBe(40);
    const watched = { step: 80, value: 0.25, best: { step: 40, value: 0.3 }, without: 2, patience: 2, stopped: true };
    expect(phases[0]!.watched).toEqual({ figure: 'pets knn k5.top1', ...watched });
    expect([seen.exported, seen.ended]).toEqual([[40], [40]]);
    const lines = await linesOf(run);
    expect(lines).toContain(
      'ends at step 80, not 100: pets knn k5.top1 has not risen for 2 evaluations: 0.3 at step 40',
    );
    expect(lines).toContain('ends with the checkpoint of step 40, the best');
    expect((await status(run)).watched).toMatchObject(watched);
    await keepHistory(client, 'stops', 'recipe-early-stopping.json');
    await keepHistory(client, 'stops/pretrain', 'phase-early-stopping.json');
  });
});

it('a phase in which others begin goes on to the last of them, and one that rises to its end; failed evaluations do not count', async () => {
  const { of, seen } = scenes({
    branched: { values: { 20: 0.5, 40: 0.4, 80: 0.2 }, branches: [70], restoreBest: false },
    'gone-on-from': { values: { 20: 0.5, 40: 0.4, 60: 0.3, 80: 0.2, 100: 0.1 }, branches: [100] },
  });
  await temporal.serving(of, async (client) => {
    const branched = await start(client, 'branched');
    const [first, second] = [await branched.result(), await (await start(client, 'gone-on-from')).result()];
    // At 70 nothing was to be looked at, at 60 nothing could be; 80 is the second without a rise, and lies behind 70.
    expect(seen.looked.branched).toEqual([20, 40, 80]);
    expect(first.phases[0]!.checkpoint.step).toBe(80);
    expect((await linesOf(branched)).filter((line) => line.includes('60'))).toEqual([
      'not looked at whether it still rises at 60: data: there is none',
    ]);
    expect(seen.looked['gone-on-from']).toEqual([20, 40, 60, 80]);
    expect(second.phases[0]!.checkpoint.step).toBe(100);
  });
});

it('a pause is heeded while the figure is looked at, which is done again when the phase goes on', async () => {
  const { of, seen } = scenes({ paused: { values: { 20: 0.1, 40: 0.3, 60: 0.5, 80: 0.6, 100: 0.5 } } });
  let begun = false;
  const paused = new EventEmitter();
  const planEvaluation: Activities['planEvaluation'] = async (input) => {
    if (!begun && (input as EvaluationInput).model.endsWith('@40')) {
      begun = true;
      await once(paused, 'now');
    }
    return of.planEvaluation!(input);
  };
  await temporal.serving({ ...of, planEvaluation }, async (client) => {
    const run = await start(client, 'paused');
    const doing = 'pets says of step 40 whether it goes on';
    await until(async () => begun && (await status(run)).doing === doing);
    await run.executeUpdate('pause');
    await until(async () => (await status(run)).state === 'paused');
    expect(seen.looked.paused).toEqual([20]);
    paused.emit('now');
    await run.executeUpdate('resume');
    const { phases } = await run.result();
    // It comes to its end, where that is evaluated too, and the best is handed on.
    const all = [20, 40, 60, 80, 100];
    expect([seen.looked.paused, seen.shards]).toEqual([all, all]);
    expect(phases[0]!.checkpoint.step).toBe(80);
    expect(phases[0]!.watched).not.toHaveProperty('stopped');
  });
});
