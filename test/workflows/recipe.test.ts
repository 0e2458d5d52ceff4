import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { describe, expect, it } from 'vitest';
import { plan as realPlan } from '../../activities/plan.ts';
import type { RunPlan, ShardInput, SweepInput } from '../../activities/types.ts';
import { checkpointDamaged } from '../../src/checkpoint/damage.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import type { RunStatus, Status } from '../../workflows/messages.ts';
import type { siglip2Phase } from '../../workflows/phase.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import type { PhaseEnd } from '../../workflows/results.ts';
import { planOf, resultOf, runPlanOf, testTemporal, workflowsPath } from './harness.ts';
import { histories, keepHistory } from './histories.ts';

const temporal = testTemporal();

const start = (client: Client, run: string, recipe: unknown = {}) =>
  client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
    taskQueue: 'siglip2',
    workflowId: run,
    args: [recipe],
  });

type RecipeHandle = Awaited<ReturnType<typeof start>>;
const status = (run: RecipeHandle) => run.query<RunStatus>('status');

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const began = Date.now(); !(await holds()); ) {
    if (Date.now() - began > 20_000) throw new Error('it did not come to pass within 20 s');
    await delay(50);
  }
}

/** The status of a run once one of its phases waits for a person. */
async function waiting(run: RecipeHandle): Promise<RunStatus> {
  await until(async () => (await status(run)).state === 'waiting');
  return status(run);
}

/** The checkpoint that a phase ends with. */
const checkpointOf = async (phase: { result(): Promise<unknown> }) => ((await phase.result()) as PhaseEnd).checkpoint;

/** What a person sees of a failed workflow. */
async function failureOf(result: Promise<unknown>): Promise<{ message: string; type?: string; stack: string }> {
  const error = await result.then(
    () => null,
    (failed) => failed,
  );
  expect(error).toBeInstanceOf(WorkflowFailedError);
  const { cause } = error as WorkflowFailedError;
  const { failure } = cause as { failure?: { stackTrace?: string } };
  return { message: cause!.message, type: (cause as { type?: string }).type!, stack: failure?.stackTrace ?? '' };
}

describe('a run', () => {
  it('plans, trains shard after shard from the recorded results, evaluates and exports', async () => {
    const shards: ShardInput[] = [];
    const trainShard = async (input: ShardInput) => {
      shards.push(input);
      return resultOf(input, input.toStep);
    };
    await temporal.serving({ trainShard }, async (client) => {
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
      await keepHistory(client, 'whole/pretrain', 'phase.json');
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

describe('a phase', () => {
  const phase = (client: Client, run: string, steps: number, shardSteps: number) =>
    client.workflow.start<typeof siglip2Phase>('siglip2Phase', {
      taskQueue: 'siglip2',
      workflowId: `${run}/pretrain`,
      args: [{ plan: planOf(run, steps, shardSteps) }],
    });

  it('whose checkpoint is damaged goes on from the newest that verifies, under a new revision', async () => {
    const shards: [number | null, number, number][] = [];
    const asked: number[] = [];
    await temporal.serving(
      {
        async trainShard(input) {
          shards.push([input.from?.step ?? null, input.toStep, input.revision]);
          if (input.toStep === 30 && input.revision === 0)
            throw checkpointDamaged({ ...input.plan, revision: 0, step: 20 }, 'model.safetensors', 'is missing');
          return resultOf(input, input.toStep);
        },
        async recoverCheckpoint({ plan, revision, belowStep }) {
          asked.push(belowStep);
          return resultOf({ plan, parent: null, revision, from: null, toStep: 15 }, 15).checkpoint;
        },
      },
      async (client) => {
        const checkpoint = await checkpointOf(await phase(client, 'damaged', 40, 10));
        expect(checkpoint).toMatchObject({ step: 40, revision: 1 });
        expect(asked).toEqual([20]);
        expect(shards).toEqual([
          [null, 10, 0],
          [10, 20, 0],
          [20, 30, 0],
          [15, 20, 1],
          [20, 30, 1],
          [30, 40, 1],
        ]);
      },
    );
  });

  it('that went back five times since its checkpoints were damaged waits for a person', async () => {
    const trainShard = async ({ plan, revision }: ShardInput) => {
      throw checkpointDamaged({ ...plan, revision, step: 20 }, 'model.safetensors', 'is missing');
    };
    await temporal.serving({ trainShard }, async (client) => {
      const handle = await phase(client, 'worn-out', 40, 10);
      await until(async () => (await handle.query<Status>('status')).state === 'waiting');
      expect(await handle.query<Status>('status')).toMatchObject({
        revision: 5,
        failure: expect.stringMatching(/is missing/),
      });
      await handle.executeUpdate('abandonPhase');
      await expect(handle.result()).rejects.toThrow();
    });
  });

  it('that is started alone with a recipe plans itself, for its own run or under a name of its own', async () => {
    const asked: unknown[] = [];
    const planPhase = async (input: { run: string; recipe: unknown; phase?: string }) => {
      asked.push(input);
      if (input.phase === 'nowhere') throw new RunnerError('RecipeInvalid', 'phase is "nowhere"; allowed: pretrain');
      return { ...planOf(input.run, 30, 10), phase: input.phase ?? 'pretrain' };
    };
    await temporal.serving({ planPhase }, async (client) => {
      const alone = (workflowId: string, input: { recipe: object; phase?: string }) =>
        client.workflow.start<typeof siglip2Phase>('siglip2Phase', { taskQueue: 'siglip2', workflowId, args: [input] });
      const recipe = { version: 1 };
      const own = await checkpointOf(await alone('alone/finer', { recipe, phase: 'finer' }));
      expect(own).toMatchObject({ run: 'alone', phase: 'finer', step: 30 });
      const other = await checkpointOf(await alone('alone-again', { recipe }));
      expect(other).toMatchObject({ run: 'alone-again', phase: 'pretrain' });
      const failure = await failureOf((await alone('alone-nowhere', { recipe, phase: 'nowhere' })).result());
      expect(failure).toEqual({ message: 'phase is "nowhere"; allowed: pretrain', type: 'RecipeInvalid', stack: '' });
      expect(asked).toEqual([
        { run: 'alone', recipe, phase: 'finer' },
        { run: 'alone-again', recipe },
        { run: 'alone-nowhere', recipe, phase: 'nowhere' },
      ]);
      await keepHistory(client, 'alone/finer', 'phase-alone.json');
    });
  });

  it('that is started with what it can not be fails at once, and says what it is to be given', async () => {
    await temporal.serving({}, async (client) => {
      const failed = (type: string, workflowId: string, args: unknown[]) =>
        client.workflow.start(type, { taskQueue: 'siglip2', workflowId, args }).then((run) => failureOf(run.result()));
      const slips: [unknown[], string][] = [
        [[], 'siglip2Phase has no input'],
        [[null], 'the input of siglip2Phase is null'],
        [['abc'], 'the input of siglip2Phase is "abc"'],
        [[[]], 'the input of siglip2Phase is []'],
        [[{}], 'the input of siglip2Phase has no recipe'],
        [[{ phase: 'naflex' }], 'the input of siglip2Phase has no recipe'],
        [[{ phase: 5, recipe: {} }], 'phase is 5'],
        [[{ plan: {} }], 'the input of siglip2Phase has a plan that a run did not make'],
        [[{ version: 1, phases: [] }], 'the input of siglip2Phase is a recipe itself (siglip2Recipe runs a whole one)'],
        [[{ recipe: {} }, {}], 'siglip2Phase has 2 inputs'],
      ];
      const allowed = '; allowed: {"phase": "naflex", "recipe": ...}, with a whole recipe';
      const invalid = (message: string) => ({ message, type: 'RecipeInvalid', stack: '' });
      expect(await Promise.all(slips.map(([args], i) => failed('siglip2Phase', `slip-${i}`, args)))).toEqual(
        slips.map(([, said]) => invalid(said + allowed)),
      );
      expect(await failed('siglip2Recipe', 'slip-two', [{ version: 1 }, { version: 1 }])).toEqual(
        invalid(
          'siglip2Recipe has 2 inputs, and a run has one recipe; give one JSON document: --input-file recipe.json',
        ),
      );
      expect(await failed('siglip2Recipe', 'slip-bytes', [Buffer.from('{"version": 1}')])).toEqual(
        invalid(
          'the recipe came as bytes, not as JSON; give one JSON document: --input-file recipe.json, without --input-meta',
        ),
      );
    });
  });

  it('cuts its shards by what the first of them found out, where the plan leaves it to that', async () => {
    const pace = { checkpointEvery: 4, shardSteps: 8 };
    const asked: unknown[] = [];
    const trainShard = async (input: ShardInput) => {
      asked.push([input.from?.step ?? null, input.toStep, input.pace ?? null]);
      return { ...resultOf(input, input.pace ? input.toStep : 16), pace };
    };
    await temporal.serving({ trainShard }, async (client) => {
      const plan = { ...planOf('paced', 30, 10), branches: [27], checkpointEvery: 'auto', shardSteps: 'auto' } as const;
      const handle = await client.workflow.start<typeof siglip2Phase>('siglip2Phase', {
        taskQueue: 'siglip2',
        workflowId: 'paced/pretrain',
        args: [{ plan }],
      });
      await handle.result();
      expect(asked).toEqual([
        [null, 27, null],
        [16, 24, pace],
        [24, 27, pace],
        [27, 30, pace],
      ]);
      expect(await handle.query('plan')).toMatchObject([pace]);
      await keepHistory(client, 'paced/pretrain', 'phase-paced.json');
    });
  });

  it('goes on where a worker that was asked to end left its shard', async () => {
    const from: (number | null)[] = [];
    const trainShard = async (input: ShardInput) => {
      from.push(input.from?.step ?? null);
      return resultOf(input, Math.min(input.toStep, (input.from?.step ?? 0) + 7));
    };
    await temporal.serving({ trainShard }, async (client) => {
      await (await phase(client, 'drained', 20, 10)).result();
      expect(from).toEqual([null, 7, 10, 17]);
    });
  });

  it('of many shards continues as new, and loses nothing', async () => {
    let shards = 0;
    const trainShard = async (input: ShardInput) => {
      expect(input.from?.step ?? 0).toBe(shards++);
      return resultOf(input, input.toStep);
    };
    await temporal.serving({ trainShard }, async (client) => {
      const handle = await phase(client, 'long', 105, 1);
      expect((await checkpointOf(handle)).step).toBe(105);
      expect(shards).toBe(105);
      const { runId } = await client.workflow.getHandle('long/pretrain').describe();
      expect(runId).not.toBe(handle.firstExecutionRunId);
      expect(await client.workflow.getHandle('long/pretrain').query<Status>('status')).toMatchObject({ step: 105 });
    });
  });
});

describe('a run that began under this code', () => {
  it.each([
    ['recipe.json', 'whole'],
    ['phase.json', 'whole/pretrain'],
    ['phase-alone.json', 'alone/finer'],
    ['phase-paced.json', 'paced/pretrain'],
    ['phase-other.json', 'other/pretrain'],
    ['recipe-other.json', 'other'],
    ['phase-limited.json', 'limited/pretrain'],
    ['phase-went-back.json', 'patient/pretrain'],
    ['phase-cut-short.json', 'cut-short/acid'],
    ['phase-timed.json', 'limited/pretrain'],
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
  ])('is still understood: %s', async (file, workflowId) => {
    const history = JSON.parse(readFileSync(new URL(file, histories), 'utf8'));
    await Worker.runReplayHistory({ workflowsPath }, history, workflowId);
  });

  it('would not go unnoticed if it were not', async () => {
    const history = JSON.parse(readFileSync(new URL('phase.json', histories), 'utf8'));
    const first = history.events.find(
      (event: { eventType: string }) => event.eventType === 'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED',
    );
    first.activityTaskScheduledEventAttributes.activityType.name = 'anotherActivity';
    await expect(Worker.runReplayHistory({ workflowsPath }, history, 'whole/pretrain')).rejects.toMatchObject({
      name: 'DeterminismViolationError',
    });
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
