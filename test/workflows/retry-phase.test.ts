import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Activities } from '../../activities/types/activities.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { resultOf, runPlanOf } from './harness.ts';
import { slowShard, steering } from './steered.ts';

const { steered } = steering();

describe('a run', () => {
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
        "retryPhase is refused: learningRat can't be overridden; allowed: learningRate, weightDecay, clipNorm, precision, xla, accumulate, remat, batch, data, read, maxBroken, skip, teacherTemperature, centerMomentum, minInformation, checkpointEvery, shardSteps",
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
});
