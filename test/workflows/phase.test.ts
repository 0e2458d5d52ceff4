import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type { ShardInput } from '../../activities/types/shard.ts';
import { checkpointDamaged } from '../../src/checkpoint/damage.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { Status } from '../../workflows/messages.ts';
import type { siglip2Phase } from '../../workflows/phase.ts';
import { planOf, resultOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';
import { checkpointOf, failureOf, until } from './runs.ts';

const temporal = testTemporal();

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
      const nowhere = await alone('alone-nowhere', { recipe, phase: 'nowhere' });
      const failure = await failureOf(nowhere.result());
      expect(await nowhere.query('status')).toMatchObject({
        state: 'failed',
        phase: 'nowhere',
        failure: failure?.message,
      });
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
