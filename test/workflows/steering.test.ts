import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Context } from '@temporalio/activity';
import { describe, expect, it } from 'vitest';
import type { Activities, ShardInput } from '../../activities/types.ts';
import { prepare } from '../../infra/setup/prepare.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { RunStatus } from '../../workflows/messages.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { resultOf, runPlanOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';

const temporal = testTemporal();

/** A shard of a step every 20 ms, which ends at the step that it is at when it is cancelled or its time is up. */
async function slowShard(input: ShardInput) {
  const { cancellationSignal, heartbeat } = Context.current();
  const { deviceMs: time = Number.POSITIVE_INFINITY } = input;
  let step = input.from?.step ?? input.plan.from.step;
  let deviceMs = 0;
  for (; step < input.toStep && !cancellationSignal.aborted && deviceMs < time; deviceMs += 20) {
    await delay(20);
    heartbeat({ step: ++step });
  }
  return { ...resultOf(input, step), deviceMs };
}

interface Steered {
  status(): Promise<RunStatus>;
  ask(name: string, argument?: object): Promise<unknown>;
  /** Why it was refused. */
  refusal(name: string, argument?: object): Promise<string>;
  /** The answer to an update of such arguments. */
  slip(workflow: string, name: string, args: unknown[]): Promise<string>;
  signal(workflow: string, name: string, argument: unknown): Promise<void>;
  until(state: string, more?: (status: RunStatus) => boolean): Promise<RunStatus>;
  result(): ReturnType<typeof siglip2Recipe>;
  /** Of the phase, and of the run, under such names. */
  keep(phase: string, run?: string): Promise<void>;
  history(phase?: string): Promise<Record<string, { what: string }[]>>;
  /** What the phase itself has written down. */
  ofPhase(): Promise<{ what: string }[]>;
}

async function steered(run: string, of: Partial<Activities>, steps: number, work: (run: Steered) => Promise<void>) {
  const plan = async () => runPlanOf(run, steps, 50);
  await temporal.serving({ trainShard: slowShard, plan, ...of }, async (client) => {
    const handle = await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
      taskQueue: 'siglip2',
      workflowId: run,
      args: [{}],
    });
    const status = () => handle.query<RunStatus>('status');
    const ask = (name: string, argument?: object) =>
      argument === undefined
        ? handle.executeUpdate<unknown, []>(name)
        : handle.executeUpdate<unknown, [object]>(name, { args: [argument] });
    const slip = (workflow: string, name: string, args: unknown[]) =>
      client.workflow
        .getHandle(workflow)
        .executeUpdate(name, { args: args as never })
        .then(
          () => `${name} was granted`,
          (refused: Error) => (refused.cause as Error | undefined)?.message ?? refused.message,
        );
    await work({
      status,
      ask,
      slip,
      signal: (workflow, name, argument) => client.workflow.getHandle(workflow).signal<[unknown]>(name, argument),
      refusal: (name, argument) => slip(run, name, argument === undefined ? [] : [argument]),
      async until(state, more = () => true) {
        for (const began = Date.now(); ; await delay(50)) {
          const found = await status();
          if (found.state === state && more(found)) return found;
          if (Date.now() - began > 20_000) throw new Error(`${run} is ${found.state}, not ${state}`);
        }
      },
      result: () => handle.result(),
      history: (phase) => (phase ? client.workflow.getHandle(`${run}/${phase}`) : handle).query('history'),
      async ofPhase() {
        const found = await client.workflow
          .getHandle(`${run}/pretrain`)
          .query<Record<string, { what: string }[]>>('history');
        return found.pretrain!;
      },
      async keep(phase, whole) {
        await keepHistory(client, `${run}/pretrain`, phase);
        if (whole) await keepHistory(client, run, whole);
      },
    });
  });
}

describe('a run', () => {
  it('pauses with a checkpoint in the middle of a shard, and goes on from it', async () => {
    const began: number[] = [];
    const trainShard = async (input: ShardInput) => {
      began.push(input.from?.step ?? 0);
      return { ...(await slowShard(input)), ...(began.length > 1 && { remark: 'this CPU is another' }) };
    };
    await steered('paused', { trainShard }, 60, async (run) => {
      await run.until('training');
      await delay(300);
      expect(await run.ask('pause')).toBe('accepted');
      const { step } = await run.until('paused');
      expect(step).toBeGreaterThan(0);
      expect(step).toBeLessThan(50);
      expect(await run.refusal('pause')).toMatch(
        /^pause is refused: phase pretrain is paused; what goes on now: resume, /,
      );
      expect(await run.refusal('checkpointNow')).toMatch(/phase pretrain is paused/);
      await delay(200);
      expect((await run.status()).step).toBe(step);
      await run.ask('resume');
      const { phases } = await run.result();
      expect(phases[0]!.checkpoint.step).toBe(60);
      expect(began).toEqual([0, step, 50]);
      expect((await run.history()).pretrain!.map(({ what }) => what)).toContain('paused');
      // Two shards say it, of one machine.
      const own = (await run.history('pretrain')).pretrain!.map(({ what }) => what);
      expect(own.filter((what) => what === 'this CPU is another')).toHaveLength(1);
    });
  });

  it('commits at once when asked, and trains on', async () => {
    await steered('now', {}, 60, async (run) => {
      await run.until('training');
      await delay(200);
      await run.ask('checkpointNow');
      for (const began = Date.now(); (await run.status()).step === 0; await delay(20))
        expect(Date.now() - began).toBeLessThan(5000);
      const { step, state } = await run.status();
      expect([step < 50, state]).toEqual([true, 'training']);
      expect((await run.result()).phases[0]!.checkpoint.step).toBe(60);
    });
  });

  it('waits when a phase fails, says why and what can be done, and is tried again with other settings', async () => {
    const replanned: unknown[] = [];
    const trainShard = async (input: ShardInput) => {
      if (input.toStep > 50 && input.revision === 0) throw new RunnerError('DiskFull', 'the disk is full');
      return slowShard(input);
    };
    const replan: Activities['replan'] = async ({ plan, overrides }) => {
      replanned.push(overrides);
      const changes = [{ what: 'learningRate', from: 0.001, to: overrides.learningRate }];
      return { ...plan, shardSteps: overrides.shardSteps ?? plan.shardSteps, changes };
    };
    await steered('broken', { trainShard, replan }, 70, async (run) => {
      const { failure, step } = await run.until('waiting');
      expect([failure, step]).toEqual(['the disk is full', 50]);
      expect(await run.refusal('resume')).toBe(
        'resume is refused: phase pretrain is waiting; what goes on now: abandonPhase, retryPhase, setLimits',
      );
      expect(await run.refusal('retryPhase', { learningRat: 1 })).toBe(
        "retryPhase is refused: learningRat can't be overridden; allowed: learningRate, weightDecay, clipNorm, precision, xla, accumulate, remat, batch, data, skip, teacherTemperature, centerMomentum, minInformation, checkpointEvery, shardSteps",
      );
      expect(await run.refusal('retryPhase', { learningRate: -1 })).toMatch(/^retryPhase is refused: learningRate: /);
      expect(await run.refusal('retryPhase', { accumulate: 3 })).toBe(
        'retryPhase is refused: accumulate is 3; a divisor of the batch 2 is allowed',
      );
      await run.ask('retryPhase', { learningRate: 1e-4, shardSteps: 10 });
      const { phases } = await run.result();
      expect(phases[0]!.checkpoint).toMatchObject({ step: 70, revision: 1 });
      expect(replanned).toEqual([{ learningRate: 1e-4, shardSteps: 10 }]);
      expect((await run.history()).pretrain!.map(({ what }) => what)).toEqual([
        'training',
        'training',
        'waiting: the disk is full',
        'asked for: retryPhase {"learningRate":0.0001,"shardSteps":10}',
        'learningRate 0.001 -> 0.0001',
        'training',
        'training',
        'training',
        'done',
      ]);
    });
  });

  it('is tried again with another batch, other data or without some batches, or says why not', async () => {
    const asked: object[] = [];
    const trained: unknown[] = [];
    const trainShard = async (input: ShardInput) => {
      trained.push([input.from?.step ?? 0, input.toStep, input.plan.batch, input.skip, input.revision]);
      if (input.from?.step === 50 && input.plan.batch === 2)
        throw new RunnerError('CheckpointDamaged', 'step 50 is damaged', { details: { step: 50 } });
      return slowShard(input);
    };
    let refuses = false;
    const replan: Activities['replan'] = async ({ plan, overrides, at, skip }) => {
      asked.push({ overrides, at, skip });
      if (refuses) throw new RunnerError('DataContract', 'data: no .tar shards below data/nowhere/');
      const { batch } = overrides;
      if (batch === undefined) return { ...plan, skip: [] };
      const to = { step: at!.step + Math.floor((plan.to.examples - at!.examples) / batch), examples: plan.to.examples };
      return { ...plan, batch, begins: at!, to, skip: [1] };
    };
    const back = (step: number) =>
      resultOf(
        { plan: runPlanOf('other', 90, 50).phases[0]!, revision: 0, parent: null, from: null, toStep: step },
        step,
      ).checkpoint;
    const recoverCheckpoint: Activities['recoverCheckpoint'] = async () => back(40);
    const broken = async (input: ShardInput) => {
      if (input.from === null) return slowShard(input);
      if (input.revision === 0) throw new RunnerError('DiskFull', 'the disk is full');
      return trainShard(input);
    };
    const exported: number[] = [];
    const exportModel: Activities['exportModel'] = async ({ plan }) => {
      exported.push(plan.batch);
      return {
        uri: `s3://bucket/runs/${plan.run}/export/`,
        prefix: `runs/${plan.run}/export/`,
        bytes: 1,
        sha256: 'e'.repeat(64),
      };
    };
    await steered('other', { trainShard: broken, replan, recoverCheckpoint, exportModel }, 90, async (run) => {
      await run.until('waiting');
      const refusal = (argument: object) => run.refusal('retryPhase', argument);
      expect(await refusal({ batch: 1 })).toMatch(/^retryPhase is refused: batch: /);
      expect(await refusal({ batch: 4, accumulate: 3 })).toMatch(
        /accumulate is 3; a divisor of the batch 4 is allowed$/,
      );
      expect(await refusal({ data: '../elsewhere' })).toMatch(/^retryPhase is refused: data: a key prefix within/);
      expect(await refusal({ skip: { from: 9, to: 3 } })).toBe(
        'retryPhase is refused: skip is from 9 to 3; allowed: the first and the last batch',
      );
      expect(await refusal({ skip: { from: 60, to: 70 }, batch: 4 })).toMatch(/ask for it without batch and data$/);
      expect(await refusal({ skip: { from: 60, to: 6000 } })).toMatch(/names 5941 batches; at most 1000 are allowed$/);
      // What only the activity can see leaves the phase as it was, and is told.
      refuses = true;
      await run.ask('retryPhase', { data: 'data/nowhere' });
      for (const began = Date.now(); !/nowhere/.test((await run.status()).failure ?? ''); await delay(20))
        expect(Date.now() - began).toBeLessThan(5000);
      expect((await run.status()).state).toBe('waiting');
      refuses = false;
      await run.ask('retryPhase', { skip: { from: 60, to: 62 } });
      // Its damaged checkpoint sends it back; then it is paused, and goes on in larger batches.
      for (const began = Date.now(); trained.length < 2; await delay(5)) expect(Date.now() - began).toBeLessThan(5000);
      await run.ask('pause');
      const { step } = await run.until('paused');
      await run.ask('retryPhase', { batch: 4 });
      const { phases } = await run.result();
      const end = step + Math.floor((90 - step) / 2);
      expect(phases[0]!.checkpoint.step).toBe(end);
      expect(await run.status()).toMatchObject({ total: end, batch: 4 });
      // What it became is what it was trained by at its end.
      expect(exported).toEqual([4]);
      expect(trained[0]).toEqual([50, 90, 2, [60, 61, 62], 1]);
      expect(trained.find((shard) => (shard as number[])[2] === 4)).toEqual([step, expect.any(Number), 4, [1], 3]);
      await run.keep('phase-other.json', 'recipe-other.json');
      expect(asked.at(-1)).toEqual({ overrides: { batch: 4 }, at: { step, examples: 2 * step }, skip: [60, 61, 62] });
    });
  });

  it('keeps its batches where other phases begin later in it, or where they are drawn', async () => {
    const trunk = (run: string, more: object) => ({ ...runPlanOf(run, 70, 50).phases[0]!, ...more });
    const stopped = async () => {
      throw new RunnerError('DiskFull', 'the disk is full');
    };
    for (const [name, more, said] of [
      [
        'branched',
        { branches: [60] },
        /^retryPhase is refused: other phases begin at step 60 of it, which other batches/,
      ],
      ['drawn', { fixedBatches: 'naflex' }, /^retryPhase is refused: batches of images of any shape are drawn for/],
      ['curated', { fixedBatches: 'curation' }, /^retryPhase is refused: a curated phase has the batches that/],
    ] as const) {
      const plan = async () => ({ ...runPlanOf(name, 70, 50), phases: [trunk(name, more)] });
      await steered(name, { trainShard: stopped, plan }, 70, async (run) => {
        await run.until('waiting');
        expect(await run.refusal('retryPhase', { batch: 4 })).toMatch(said);
        await run.ask('abandonPhase');
        await expect(run.result()).rejects.toThrow();
      });
    }
  });

  it('that diverges goes back to its last checkpoint and leaves out the batch at fault, a few times, and then waits', async () => {
    const shards: unknown[] = [];
    const asked: unknown[] = [];
    const bad = [56, 58, 63];
    const trainShard = async (input: ShardInput) => {
      const { skip = [], revision, toStep } = input;
      shards.push([input.from?.step ?? 0, toStep, revision, skip]);
      const batch = bad.find((one) => !skip.includes(one))!;
      if (toStep > 50) {
        const details = { step: batch + 1, batch };
        throw new RunnerError('NonFinite', `the loss of step ${batch + 1} is NaN`, { details });
      }
      return slowShard(input);
    };
    const recoverCheckpoint: Activities['recoverCheckpoint'] = async ({ plan, parent, revision, belowStep }) => {
      asked.push([revision, belowStep]);
      return resultOf({ plan, parent, revision: 0, from: null, toStep: 50 }, 50).checkpoint;
    };
    const plan = async () => {
      const planned = runPlanOf('diverging', 70, 50);
      return { ...planned, phases: [{ ...planned.phases[0]!, leaveOut: 2 }] };
    };
    await steered('diverging', { trainShard, recoverCheckpoint, plan }, 70, async (run) => {
      const { failure, revision } = await run.until('waiting');
      expect([failure, revision]).toEqual(['the loss of step 64 is NaN', 2]);
      expect(shards).toEqual([
        [0, 50, 0, []],
        [50, 70, 0, []],
        [50, 70, 1, [56]],
        [50, 70, 2, [56, 58]],
      ]);
      expect(asked).toEqual([
        [0, 57],
        [1, 59],
      ]);
      await run.ask('abandonPhase');
      await expect(run.result()).rejects.toThrow();
    });
  });

  it('that a person tried again five times, without some batches, still goes back by itself', async () => {
    const shards: unknown[] = [];
    const trainShard = async (input: ShardInput) => {
      const { revision, toStep, skip } = input;
      if (toStep <= 50) return slowShard(input);
      shards.push([input.from?.step ?? 0, revision, skip]);
      if (revision < 5) throw new RunnerError('DiskFull', `the disk is full, ${revision}`);
      if (revision === 5) throw new RunnerError('CheckpointDamaged', 'it is damaged', { details: { step: 50 } });
      if (revision === 6) throw new RunnerError('NonFinite', 'it is NaN', { details: { step: 52, batch: 51 } });
      return slowShard(input);
    };
    const recoverCheckpoint: Activities['recoverCheckpoint'] = async (input) => {
      const step = input.belowStep - 5;
      return resultOf({ ...input, revision: 0, from: null, toStep: step }, step).checkpoint;
    };
    const plan = async () => {
      const planned = runPlanOf('patient', 70, 50);
      return { ...planned, phases: [{ ...planned.phases[0]!, leaveOut: 1 }] };
    };
    await steered('patient', { trainShard, recoverCheckpoint, plan }, 70, async (run) => {
      for (let time = 0; time < 5; time++) {
        await expect
          .poll(async () => (await run.status()).failure, { timeout: 20_000 })
          .toBe(`the disk is full, ${time}`);
        await run.until('waiting');
        await run.ask('retryPhase', { skip: { from: 60 + time, to: 60 + time } });
      }
      expect((await run.result()).phases[0]!.checkpoint).toMatchObject({ step: 70, revision: 7 });
      const skip = [60, 61, 62, 63, 64];
      expect(shards.slice(5)).toEqual([
        [50, 5, skip],
        [50, 6, skip],
        [50, 7, [51, ...skip]],
      ]);
      await run.keep('phase-went-back.json');
    });
  });

  it('tried again as it is fails again and waits again; given up, it says so and what broke it last', async () => {
    let tries = 0;
    const trainShard = async () => {
      throw new RunnerError('DiskFull', `the disk is full, ${++tries}`);
    };
    const replan = async () => {
      throw new RunnerError('DataContract', 'data: no .tar shards below data/nowhere/');
    };
    await steered('hopeless', { trainShard, replan }, 70, async (run) => {
      await run.until('waiting');
      await run.ask('retryPhase');
      for (const began = Date.now(); (await run.status()).failure !== 'the disk is full, 2'; await delay(20))
        expect(Date.now() - began).toBeLessThan(10_000);
      await run.until('waiting');
      await run.ask('retryPhase', { data: 'data/nowhere' });
      await run.until('waiting', ({ failure }) => /nowhere/.test(failure ?? ''));
      await run.ask('abandonPhase');
      const error = await run.result().catch((failed: unknown) => failed);
      expect((error as { cause: Error }).cause).toMatchObject({
        message:
          'phase pretrain was abandoned at step 0, after it had failed: data: no .tar shards below data/nowhere/',
        type: 'DataContract',
      });
      expect((await run.status()).state).toBe('failed');
      expect(await run.refusal('pause')).not.toMatch(/granted/);
    });
  });

  it('stops at its limits with a checkpoint, and goes on when they are raised', async () => {
    const began = Date.now();
    await steered('limited', {}, 300, async (run) => {
      await run.until('training');
      await run.ask('setLimits', { step: 45 });
      expect(await run.refusal('setLimits', { steps: 3 })).toBe(
        'setLimits is refused: steps is no limit; allowed: step, deviceHours, wallHours',
      );
      expect(await run.refusal('setLimits')).toBe(
        'setLimits is refused: no limit is named; allowed: step, deviceHours, wallHours, such as {"step": 5000}',
      );
      expect(await run.refusal('setLimits', { step: -3 })).toMatch(/step is -3; allowed: a number above 0, whole/);
      expect((await run.until('limit')).step).toBe(45);
      expect(await run.refusal('setLimits', { step: 45 })).toBe(
        'setLimits is refused: step is 45, and phase pretrain has come to 45; allowed: more than that, or pause to stop it now',
      );
      // Its shards had a device for 20 ms a step.
      expect(await run.refusal('setLimits', { deviceHours: 0.000_1 })).toMatch(
        /^setLimits is refused: deviceHours is 0.0001, and phase pretrain has come to 0.00025; allowed: more than that/,
      );
      await run.ask('setLimits', { step: null, deviceHours: (75 * 20) / 3_600_000 });
      expect((await run.until('limit', ({ step }) => step > 45)).step).toBe(75);
      expect(await run.refusal('setLimits', { wallHours: 0.000_01 })).toMatch(
        /^setLimits is refused: wallHours is 0.00001, /,
      );
      await run.ask('resume');
      await delay(500);
      expect(await run.status()).toMatchObject({ state: 'limit', step: 75 });
      const age = (Date.now() - began) / 3_600_000;
      await run.ask('setLimits', { deviceHours: 1, wallHours: age + 2.5 / 3600 });
      // By the clock it has some seconds, and stops within a shard, with a checkpoint.
      const later = await run.until('limit', (status) => status.step > 75);
      expect(later.step).toBeLessThan(300);
      await run.ask('setLimits', { wallHours: null });
      expect((await run.result()).phases[0]!.checkpoint.step).toBe(300);
      const history = (await run.history()).pretrain!.map(({ what }) => what);
      expect(history).toEqual(
        expect.arrayContaining(['asked for: setLimits {"step":45}', 'limits {} -> {"step":45}', 'limit']),
      );
      await run.keep('phase-timed.json');
    });
  });

  it('uses no device time while its shard waits for a device', async () => {
    const plan = async () => runPlanOf('queued', 100, 50);
    await temporal.serving({ trainShard: slowShard, plan }, async (client, _, devices) => {
      await devices.stop();
      const run = await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
        taskQueue: 'siglip2',
        workflowId: 'queued',
        args: [{}],
      });
      const state = async () => (await run.query<RunStatus>('status')).state;
      await expect.poll(state, { timeout: 10_000 }).toBe('training');
      await run.executeUpdate('setLimits', { args: [{ deviceHours: 400 / 3_600_000 }] });
      await delay(2000);
      expect(await state()).toBe('training');
      await devices.start();
      await expect.poll(state, { timeout: 10_000 }).toBe('limit');
      expect((await run.query<RunStatus>('status')).step).toBe(20);
      await run.cancel();
      await expect(run.result()).rejects.toThrow();
    });
  });

  it('is extended while it trains, and what is left of the schedule is spread over more steps', async () => {
    const asked: object[] = [];
    const replan: Activities['replan'] = async ({ plan, extend }) => {
      asked.push(extend!);
      return { ...plan, to: { step: plan.to.step + extend!.steps, examples: plan.to.examples + 2 * extend!.steps } };
    };
    await steered('longer', { replan }, 60, async (run) => {
      await run.until('training');
      expect(await run.refusal('extend', { steps: 0.5 })).toBe(
        'extend is refused: steps is 0.5; allowed: a whole number above 0, of steps to add, {"steps": 1000}',
      );
      expect(await run.refusal('extend')).toMatch(
        /^extend is refused: steps is missing; allowed: a whole number above 0/,
      );
      for (const steps of [1e9, 1e300])
        expect(await run.refusal('extend', { steps })).toBe(
          `extend is refused: steps is ${steps}; allowed: at most 10000 at once, for phase pretrain has 60 now`,
        );
      await run.ask('extend', { steps: 20 });
      // Seen at once, and not when the next shard has ended.
      const seen = await run.until('training', ({ total }) => total === 80);
      expect(seen.step).toBeLessThan(50);
      const { phases } = await run.result();
      expect(phases[0]!.checkpoint).toMatchObject({ step: 80, revision: 1 });
      const { at } = asked[0] as { at: { step: number; examples: number } };
      expect(at.examples).toBe(2 * at.step);
      expect((await run.history()).pretrain!.map(({ what }) => what)).toContain(
        'extended by 20 steps: ends at step 80, not 60',
      );
    });
  });

  it('refuses what an update does not know, names what it does, and goes on', async () => {
    await steered('slips', {}, 60, async (run) => {
      await run.until('training');
      const allowed = 'allowed: none, or a JSON object of phase, such as {"phase": "pretrain"}';
      const slips: [string, unknown[], string][] = [
        ['pause', [null], `pause is refused: its input is null; ${allowed}`],
        ['pause', [[]], `pause is refused: its input is []; ${allowed}`],
        ['pause', ['pretrain'], `pause is refused: its input is "pretrain"; ${allowed}`],
        ['pause', [{ phase: 'pretrain', force: true }], 'pause is refused: force is no field of it; allowed: phase'],
        [
          'resume',
          [{ phase: 7 }],
          'resume is refused: phase is 7; allowed: the name of a phase, such as {"phase": "pretrain"}',
        ],
        ['pause', [{}, {}], 'pause is refused: it has 2 inputs; allowed: one, a JSON object of phase'],
        ['extend', [{ steps: 5, stepz: 1 }], 'extend is refused: stepz is no field of it; allowed: phase, steps'],
        [
          'setLimits',
          [null],
          'setLimits is refused: its input is null; allowed: none, or a JSON object of phase, step, deviceHours, wallHours, such as {"phase": "pretrain"}',
        ],
        [
          'setLimits',
          [{ phase: 'pretrain' }],
          'setLimits is refused: no limit is named; allowed: step, deviceHours, wallHours, such as {"step": 5000}',
        ],
      ];
      for (const workflow of ['slips', 'slips/pretrain'])
        for (const [name, args, said] of slips) expect(await run.slip(workflow, name, args)).toBe(said);
      expect(await run.status()).toMatchObject({ state: 'training' });
      expect((await run.result()).phases[0]!.checkpoint.step).toBe(60);
    });
  });

  it('drops signals that make no sense, says so in its history, and goes on', async () => {
    await steered('signalled', {}, 60, async (run) => {
      await run.until('training');
      const report = { phase: 'pretrain', state: 'training', from: 0, total: 60, revision: 0 };
      for (const given of [
        null,
        'done',
        {},
        { ...report, phase: 'constructor' },
        { ...report, state: 'toString' },
        { ...report, last: {} },
      ])
        await run.signal('signalled', 'phaseReport', given);
      for (const given of [
        null,
        { kind: 'Pause' },
        { kind: 'constructor' },
        { kind: 'setLimits', limits: 5 },
        { kind: 'extend', steps: 1e300 },
      ])
        await run.signal('signalled/pretrain', 'wish', given);
      for (const workflow of ['signalled', 'signalled/pretrain'])
        await run.signal(workflow, 'pause', { phase: 'pretrain' });
      await expect.poll(async () => (await run.history())['(run)']?.length, { timeout: 10_000 }).toBe(7);
      expect(await run.status()).toMatchObject({ state: 'training', total: 60 });
      const ofRun = (await run.history())['(run)']!.map(({ what }) => what);
      expect(ofRun[0]).toBe('a signal was dropped: a report is null; allowed: an object');
      expect(ofRun[3]).toBe('a signal was dropped: a report names the phase "constructor"');
      expect(ofRun[6]).toBe(
        'a signal was dropped: nothing is known by the name pause; it is an update: temporal workflow update execute --name pause',
      );
      expect((await run.result()).phases[0]!.checkpoint.step).toBe(60);
      const ofPhase = (await run.ofPhase()).map(({ what }) => what);
      expect(ofPhase).toContain(
        'a signal was dropped: a wish has the kind "Pause"; allowed: pause, resume, checkpointNow, abandonPhase, retryPhase, extend, setLimits',
      );
      expect(ofPhase.filter((what) => /dropped|too late/.test(what))).toHaveLength(6);
    });
  });

  it('is steered by the Temporal CLI in the words of the README', async () => {
    const { temporal: binary } = await prepare(['temporal']);
    const type = async (...words: string[]) => {
      const env = { ...process.env, TEMPORAL_ADDRESS: temporal.address() };
      const { stdout, stderr } = await promisify(execFile)(binary!, words, { env });
      return stdout + stderr;
    };
    const update = (name: string, ...input: string[]) =>
      type('workflow', 'update', 'execute', '--workflow-id', 'typed', '--name', name, ...input);
    await steered('typed', {}, 200, async (run) => {
      await run.until('training');
      expect(await update('pause')).toMatch(/accepted/);
      await run.until('paused');
      expect(await type('workflow', 'query', '--workflow-id', 'typed', '--type', 'status')).toMatch(/paused/);
      await expect(update('checkpointNow')).rejects.toThrow(/checkpointNow is refused: phase pretrain is paused/);
      await update('retryPhase', '--input', '{"phase": "pretrain", "learningRate": 0.0001}');
      await run.until('training');
      expect(await type('workflow', 'query', '--workflow-id', 'typed', '--type', 'plan')).toMatch(/pretrain/);
      expect(await type('workflow', 'query', '--workflow-id', 'typed', '--type', 'history')).toMatch(/paused/);
      await update('extend', '--input', '{"phase": "pretrain", "steps": 10}');
      await update('pause');
      await run.until('paused');
      expect(await update('retryPhase', '--input', '{"batch": 512, "learningRate": 0.0005}')).toMatch(/accepted/);
      await run.until('training');
      await update('pause');
      await run.until('paused');
      expect(await update('retryPhase', '--input', '{"data": ["data/emoji/train", "data/more"]}')).toMatch(/accepted/);
      await run.until('training');
      await update('pause');
      await run.until('paused');
      expect(await update('retryPhase', '--input', '{"skip": {"from": 1200, "to": 1209}}')).toMatch(/accepted/);
      await run.until('training');
      expect(await update('setLimits', '--input', '{"step": 5000, "deviceHours": 12, "wallHours": 24}')).toMatch(
        /accepted/,
      );
      const recipe = '{"version": 1}';
      const alone = ['--type', 'siglip2Phase', '--task-queue', 'siglip2', '--workflow-id', 'typed/other'];
      await type('workflow', 'start', ...alone, '--input', `{"phase": "other", "recipe": ${recipe}}`);
      await expect
        .poll(() => type('workflow', 'query', '--workflow-id', 'typed/other', '--type', 'status'), { timeout: 10_000 })
        .toMatch(/typed\/other@/);
      await update('abandonPhase', '--input', '{"phase": "pretrain"}');
      await expect(run.result()).rejects.toThrow();
    });
  });
});
