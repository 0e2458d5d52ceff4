import { EventEmitter, once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { plan as realPlan } from '../../activities/plan.ts';
import type { Activities } from '../../activities/types/activities.ts';
import type { EmbedPartInput, KeepBestInput } from '../../activities/types/evaluation.ts';
import type { HistoryInput } from '../../activities/types/phase-end.ts';
import type { RunPlan } from '../../activities/types/plan.ts';
import type { ShardInput, SweepInput } from '../../activities/types/shard.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import type { PhaseEvent, RunStatus, Status } from '../../workflows/messages.ts';
import { planOf, resultOf, runPlanOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';
import { failureOf, start, status, until, waiting } from './runs.ts';

type RunHistory = Readonly<Record<string, readonly PhaseEvent[]>>;

const temporal = testTemporal();

describe('a run', () => {
  it('plans, trains shard after shard from the recorded results, evaluates and exports', async () => {
    const shards: ShardInput[] = [];
    const trainShard = async (input: ShardInput) => {
      shards.push(input);
      const result = resultOf(input, input.toStep);
      return input.toStep === 20 ? { ...result, attempt: '2-3-0123abcd' } : result;
    };
    const told: HistoryInput[] = [];
    const writeReport: Activities['writeReport'] = async (input) => {
      told.push(input);
      return { key: 'page', uri: 's3://bucket/page', bytes: 1, sha256: 'f'.repeat(64) };
    };
    await temporal.serving({ trainShard, writeReport }, async (client) => {
      const run = await start(client, 'whole');
      const result = await run.result();
      expect(shards.map(({ toStep, from }) => [from?.step ?? null, toStep])).toEqual([
        [null, 10],
        [10, 20],
        [20, 30],
      ]);
      expect(result).toMatchObject({
        run: 'whole',
        phases: [
          {
            phase: 'pretrain',
            checkpoint: { step: 30, uri: 's3://bucket/runs/whole/pretrain/r0/step-30-a/' },
            evaluation: { report: { zero_shot: { top1: 0.5 } } },
            export: { uri: 's3://bucket/runs/whole/export/' },
          },
        ],
      });
      expect(result).toMatchObject({ report: 's3://bucket/page' });
      // When its phase has ended, and at its own end.
      expect(told.map(({ run, phase }) => [run, phase])).toEqual([
        ['whole', 'pretrain'],
        ['whole', null],
      ]);
      const lines = told[0]!.events.map(({ what }) => what);
      expect(lines).toContain('done');
      expect(lines).toContain('the shard to step 20 was ended by attempt 3: killed, or tried again');
      expect(told[0]!.spent!.began).toBeGreaterThan(Date.now() - 120_000);
      const status = await run.query<Status>('status');
      expect(status).toMatchObject({ state: 'done', phase: 'pretrain', step: 30, total: 30, percent: 100 });
      expect(status).toMatchObject({ loss: 10 / 30, lastCheckpoint: 'whole/pretrain@30', attempt: '1-1-a' });
      expect(status.ageSeconds).toBeCloseTo((Date.now() - Date.parse('2026-01-01T00:00:00.000Z')) / 1000, -1);
      await expectListed(client, `SiglipRun='whole' and SiglipPhase='pretrain' and SiglipState='done'`, [
        'whole',
        'whole/pretrain',
      ]);
      await expectListed(client, `SiglipRun='whole' and SiglipStep=30`, ['whole', 'whole/pretrain']);
      await keepHistory(client, 'whole', 'recipe.json');
      await keepHistory(client, 'whole', 'recipe-reported.json');
      await keepHistory(client, 'whole/pretrain', 'phase.json');
    });
  });

  it('has its checkpoints evaluated by its tasks, on the way beside training and at the end, and goes on where that fails', async () => {
    const evaluated: string[] = [];
    const best = { task: 'good', evaluator: 'retrieval', figure: 'mean.r1' };
    const kept: object[] = [];
    const left: string[] = [];
    const documentOf = (name: string) => ({ key: `runs/tasks/data/${name}.json`, sha256: 'f'.repeat(64) });
    const plan = async ({ run }: { run: string }) => {
      const planned = runPlanOf(run);
      const tasks = {
        documents: ['good', 'bad'].map((name) => ({ name, document: documentOf(name) })),
        every: 15,
        best,
      };
      return { ...planned, phases: planned.phases.map((phase) => ({ ...phase, tasks })) };
    };
    const stocktaking = new EventEmitter();
    const changes = {
      plan,
      // So that an evaluation on the way has failed before the phase is over.
      trainShard: async (input: ShardInput) => {
        if (input.toStep === 30) await delay(700);
        return resultOf(input, input.toStep);
      },
      evaluate: async () => {
        setTimeout(() => stocktaking.emit('begun'), 500);
        return { key: 'evaluation.json', report: {} };
      },
      planEvaluation: async (input: unknown) => {
        const { model, task: document } = input as { model: string; task: ReturnType<typeof documentOf> };
        evaluated.push(model);
        // Begun by a person, it is still at work when the run comes to the same checkpoint.
        if (model === 'by-hand/pretrain@30') await once(stocktaking, 'begun');
        const parts = { test: 2, train: 0, classes: 1 };
        // Of the last one a person has the result already, who did not ask for the best.
        return {
          document,
          prefix: `evaluations/${model}/`,
          parts,
          figures: 1,
          done: model.endsWith('@30') && document.key === documentOf('good').key,
        };
      },
      embedPart: async ({ plan: { document } }: EmbedPartInput) => {
        if (document.key === documentOf('bad').key) throw new RunnerError('DataContract', 'data: there is none');
        return { examples: 1, skipped: 0 };
      },
      leaveEvaluation: async ({ plan: { document, prefix } }: Pick<EmbedPartInput, 'plan'>) => {
        left.push(`${document.key} ${prefix}`);
      },
      evaluatePart: async () => ({ key: 'figure' }),
      // Figures are there without pictures.
      drawSheet: async () => {
        throw new RunnerError('DataContract', 'no picture');
      },
      keepBest: async ({ plan, best }: KeepBestInput) => {
        kept.push({ prefix: plan.prefix, ...best });
        return { step: 20, value: 0.5 };
      },
      concludeEvaluation: async () => ({ key: 'result.json', sha256: 'e'.repeat(64), figures: { r1: 0.5 } }),
    };
    await temporal.serving(changes, async (client) => {
      const byHand = { model: 'by-hand/pretrain@30', task: documentOf('good') };
      const workflowId = 'tasks/pretrain/good-30';
      await client.workflow.start('siglip2Evaluate', { taskQueue: 'siglip2', workflowId, args: [byHand] });
      const { phases } = await (await start(client, 'tasks')).result();
      expect(phases[0]!.tasks).toEqual([
        { name: 'good', key: 'result.json', sha256: 'e'.repeat(64), figures: { r1: 0.5 } },
        { name: 'bad', failure: 'data: there is none' },
      ]);
      const { pretrain } = await client.workflow.getHandle('tasks').query<RunHistory>('history');
      expect(pretrain!.map(({ what }) => what)).toContain('not evaluated by bad at 20: data: there is none');
      // Shards end at 10, 20 and 30: the first multiple of 15 lies behind the second of them.
      const ended = (id: string) => client.workflow.getHandle(id).result();
      expect(await ended('tasks/pretrain/good-20')).toMatchObject({ key: 'result.json' });
      await expect(ended('tasks/pretrain/bad-20')).rejects.toThrow();
      const { task: _, ...by } = best;
      const kinds = [20, 30].map((step) => ({ prefix: `evaluations/tasks/pretrain@${step}/`, ...by }));
      expect(kept).toEqual(kinds);
      // What failed holds its checkpoint no longer.
      const steps = [20, 30].map((step) => `${documentOf('bad').key} evaluations/tasks/pretrain@${step}/`);
      expect(left).toEqual(steps);
      expect([...new Set(evaluated)]).toEqual([byHand.model, 'tasks/pretrain@20', 'tasks/pretrain@30']);
      await expect(ended('tasks/pretrain/good-10')).rejects.toThrow(/not found/);
      await keepHistory(client, 'tasks/pretrain/good-20', 'evaluation-with-sheet.json');
      await keepHistory(client, 'tasks', 'recipe-with-tasks.json');
      await keepHistory(client, 'tasks/pretrain', 'phase-with-tasks.json');
    });
  });

  it('fails with every mistake of its recipe in one answer, before anything is trained', async () => {
    const store = new S3ObjectStore({ bucket: 'none', region: 'us-east-1', endpoint: 'http://127.0.0.1:1' });
    const deps = { store, scratch: '', codeVersion: '', log: { info() {}, warn() {} } };
    const attempt = { id: 'a', number: 1, signal: new AbortController().signal, heartbeat() {} };
    let trained = 0;
    const changes = {
      plan: (input: { run: string; recipe: unknown }) => realPlan(deps, input, attempt),
      trainShard: async (input: ShardInput) => resultOf(input, ++trained),
    };
    await temporal.serving(changes, async (client) => {
      const recipe = JSON.parse(readFileSync(new URL('../../infra/recipes/emoji.json', import.meta.url), 'utf8'));
      recipe.phases[0].batch = 1;
      recipe.model.vision.patch = 33;
      recipe.modle = {};
      const failure = await failureOf((await start(client, 'mistaken', recipe)).result());
      expect(failure.message.split('\n')).toEqual([
        'The recipe has 3 problems:',
        '- phases.pretrain.batch is 1; allowed: a whole number from 2 to 1048576',
        '- modle is not a known field; did you mean model?',
        '- model.vision.patch is 33; at most the resolution 32 is allowed',
      ]);
      expect(failure).toMatchObject({ type: 'RecipeInvalid', stack: '' });
      const named = await failureOf((await start(client, 'a name/with spaces', {})).result());
      expect(named.message).toMatch(
        /^the workflow ID is the name of the run, and "a name\/with spaces" can't name a run; allowed/,
      );
      expect(trained).toBe(0);
    });
  });

  it('tries again what may pass, and ends at once with what will not', async () => {
    let tries = 0;
    const trainShard = async (input: ShardInput) => {
      if (++tries === 1) throw new RunnerError('StorageUnavailable', 'no answer from the store');
      if (input.toStep === 20)
        throw new RunnerError('CredentialsRefused', 'the store refused the key that ends in ABCD');
      return resultOf(input, input.toStep);
    };
    await temporal.serving({ trainShard }, async (client) => {
      const run = await start(client, 'refused');
      await waiting(run);
      expect(await run.executeUpdate('abandonPhase')).toBe('accepted');
      const failure = await failureOf(run.result());
      expect(failure).toEqual({
        message:
          'phase pretrain was abandoned at step 10, after it had failed: the store refused the key that ends in ABCD',
        type: 'CredentialsRefused',
        stack: '',
      });
      expect(tries).toBe(3);
      expect(await run.query<Status>('status')).toMatchObject({ state: 'failed', step: 10, failure: failure.message });
    });
  });

  it('comes to its end though nothing can be tidied, and says so in its history', async () => {
    let sweeps = 0;
    const sweep = async ({ plan }: SweepInput) => {
      if (plan) throw new RunnerError('StorageRefused', 'the store does not list uploads');
      sweeps++;
      throw new RunnerError('StorageUnavailable', 'the store is away');
    };
    const pruneCheckpoints = async () => {
      throw new RunnerError('StorageRefused', 'the store deletes nothing');
    };
    const kept = { ...runPlanOf('untidy'), phases: [{ ...planOf('untidy', 20, 10), keep: 2 }] };
    const began = Date.now();
    await temporal.serving({ plan: async () => kept, sweep, pruneCheckpoints }, async (client) => {
      const run = await start(client, 'untidy');
      expect((await run.result()).phases).toMatchObject([{ checkpoint: { step: 20 }, export: { bytes: 1 } }]);
      expect(sweeps).toBe(5);
      expect(Date.now() - began).toBeLessThan(40_000);
      const { pretrain } = await run.query<Record<string, { what: string }[]>>('history');
      expect(pretrain?.at(-1)?.what).toBe('not tidied: the store is away; npm run siglip2 -- sweep untidy does it');
      const phase = client.workflow.getHandle('untidy/pretrain');
      const events = (await phase.query<Record<string, { what: string }[]>>('history')).pretrain ?? [];
      expect(events.map(({ what }) => what).filter((what) => what.startsWith('not tidied'))).toEqual([
        'not tidied: the store deletes nothing',
        'not tidied: the store deletes nothing',
        'not tidied: the store does not list uploads',
      ]);
    });
  });

  it('that is cancelled ends with the checkpoint that its shard could still commit', async () => {
    let begun = () => {};
    const beginning = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const trainShard = async (input: ShardInput) => {
      if (input.toStep === 10) return resultOf(input, 10);
      const { cancelled, heartbeat } = Context.current();
      const beat = setInterval(() => heartbeat({}), 50);
      begun();
      await cancelled.catch(() => {});
      clearInterval(beat);
      return resultOf(input, 17);
    };
    await temporal.serving({ trainShard }, async (client) => {
      const run = await start(client, 'cancelled');
      await beginning;
      await run.cancel();
      await expect(run.result()).rejects.toThrow(/cancel/i);
      const { status } = await client.workflow.getHandle('cancelled/pretrain').describe();
      expect(status.name).toBe('CANCELLED');
      expect(await run.query<Status>('status')).toMatchObject({ state: 'stopped', step: 17, failure: null });
    });
  });
});

describe('the phases of a run', () => {
  /** pretrain 0-30, and from its step 20 on a branch; tail follows the branch, elsewhere is on its own. */
  const graph = (run: string): RunPlan => {
    const trunk = { ...planOf(run, 30, 10), branches: [15] };
    const from = (step: number) => ({ step, examples: 2 * step });
    const branch = {
      ...trunk,
      phase: 'branch',
      origin: { phase: 'pretrain' },
      from: from(15),
      to: from(40),
      branches: [],
    };
    const tail = { ...branch, phase: 'tail', origin: { phase: 'branch' }, from: from(40), to: from(45) };
    const borrowed = resultOf(
      { plan: { ...trunk, run: 'other' }, revision: 0, parent: null, from: null, toStep: 7 },
      7,
    ).checkpoint;
    const elsewhere = {
      ...trunk,
      phase: 'elsewhere',
      origin: { checkpoint: borrowed },
      from: from(7),
      to: from(20),
      branches: [],
    };
    return { ...runPlanOf(run), phases: [trunk, branch, tail, elsewhere] };
  };

  it('begin when the checkpoint is there that they go on from, branches while their trunk goes on', async () => {
    const began: Record<string, string | null> = {};
    let branchBegan = () => {};
    const branchRuns = new Promise<void>((resolve) => {
      branchBegan = resolve;
    });
    await temporal.serving(
      {
        plan: async ({ run }) => graph(run),
        async trainShard(input) {
          const { phase } = input.plan;
          const { parent } = input;
          began[phase] ??= parent && `${parent.run}/${parent.phase}@${parent.step}`;
          if (phase === 'branch') branchBegan();
          // The trunk's end waits for the branch: it can't come first.
          if (phase === 'pretrain' && input.toStep === 30) await branchRuns;
          return resultOf(input, input.toStep);
        },
      },
      async (client) => {
        const run = await start(client, 'graph');
        const { phases } = await run.result();
        expect(phases.map(({ phase, checkpoint }) => `${phase}@${checkpoint.step}`)).toEqual([
          'pretrain@30',
          'branch@40',
          'tail@45',
          'elsewhere@20',
        ]);
        expect(began).toEqual({
          pretrain: null,
          branch: 'graph/pretrain@15',
          tail: 'graph/branch@40',
          elsewhere: 'other/pretrain@7',
        });
        const status = await run.query<RunStatus>('status');
        expect(status).toMatchObject({ state: 'done', phase: 'elsewhere' });
        expect(status.phases.map(({ phase, state, step, total }) => [phase, state, step, total])).toEqual([
          ['pretrain', 'done', 30, 30],
          ['branch', 'done', 40, 40],
          ['tail', 'done', 45, 45],
          ['elsewhere', 'done', 20, 20],
        ]);
      },
    );
  });

  it('that fail leave the others to end, and wait; given up, the run ends with those that ended', async () => {
    const trained = new Set<string>();
    await temporal.serving(
      {
        plan: async ({ run }) => graph(run),
        async trainShard(input) {
          if (input.plan.phase === 'branch') throw new RunnerError('DataContract', 'the branch can not be trained');
          const result = resultOf(input, input.toStep);
          if (input.toStep === input.plan.to.step) trained.add(input.plan.phase);
          return result;
        },
      },
      async (client) => {
        const run = await start(client, 'broken-branch');
        const { failure, phases } = await waiting(run);
        expect(failure).toBe('the branch can not be trained');
        expect(phases.map(({ phase, state }) => `${phase} ${state}`)).toContain('tail not begun');
        await until(() => trained.size === 2);
        expect([...trained].sort()).toEqual(['elsewhere', 'pretrain']);
        await until(async () => (await status(run)).phases.filter(({ state }) => state === 'done').length === 2);
        const refused = await run
          .executeUpdate('pause', { args: [{ phase: 'tail' }] })
          .catch((error: { cause: Error }) => error.cause.message);
        expect(refused).toBe('pause is refused: no open phase is named tail; open: branch');
        await run.executeUpdate('abandonPhase');
        const result = await run.result();
        expect(result.phases.map(({ phase }) => phase)).toEqual(['pretrain', 'elsewhere']);
        const history = await run.query<Record<string, { what: string }[]>>('history');
        expect(history.branch!.map(({ what }) => what)).toContain('waiting: the branch can not be trained');
      },
    );
  });
});

async function expectListed(client: Client, query: string, expected: string[]): Promise<void> {
  // Visibility follows a moment later.
  await expect
    .poll(
      async () => {
        const found: string[] = [];
        for await (const { workflowId } of client.workflow.list({ query })) found.push(workflowId);
        return found.sort();
      },
      { timeout: 10_000 },
    )
    .toEqual(expected);
}
