import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type { CurationPlan, PhasePlan, RunPlan } from '../../activities/types/plan.ts';
import type { ScoreShardInput, ScoreShardResult } from '../../activities/types/scoring.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { RunStatus, Status } from '../../workflows/messages.ts';
import type { siglip2Phase } from '../../workflows/phase.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { planOf, resultOf, runPlanOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';

const temporal = testTemporal();

const curation = (shards: number, change: Partial<CurationPlan> = {}): CurationPlan => ({
  teacher: { phase: 'pretrain' },
  model: {
    vision: { width: 8, depth: 1, mlp: 16, heads: 1, patch: 4, resolution: 8 },
    text: { width: 8, depth: 1, mlp: 16, heads: 1, length: 4, vocabulary: 9 },
  },
  stored: true,
  languages: ['en'],
  dtype: 'f32',
  shards,
  sealed: null,
  ...change,
});

/** A phase that chooses by what the end of `pretrain` says of so many shards. */
function planned(run: string, shards: number, change: Partial<CurationPlan> = {}): RunPlan {
  const base = runPlanOf(run, 10, 10);
  const acid: PhasePlan = { ...planOf(run, 10, 10), phase: 'acid', curation: curation(shards, change) };
  return { ...base, phases: [...base.phases, acid] };
}

const scored = (shard: number): ScoreShardResult => {
  return { shard, bytes: 1, etag: 'e', examples: 1, corrupt: 0 };
};

const start = (client: Client, run: string) =>
  client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', { taskQueue: 'siglip2', workflowId: run, args: [{}] });

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const began = Date.now(); !(await holds()); ) {
    if (Date.now() - began > 20_000) throw new Error('it did not come to pass within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a phase of curation', () => {
  it('waits for the end of its teacher, has every shard scored once, and trains on what the settings then name', async () => {
    const asked: ScoreShardInput[] = [];
    const trained: ShardInput[] = [];
    await temporal.serving(
      {
        plan: async ({ run }) => planned(run, 7),
        scoreShard: async (input) => {
          asked.push(input);
          return scored(input.shard);
        },
        trainShard: async (input) => {
          trained.push(input);
          return resultOf(input, input.toStep);
        },
      },
      async (client) => {
        const run = await start(client, 'scored');
        const { phases } = await run.result();
        expect(phases.map(({ phase }) => phase)).toEqual(['pretrain', 'acid']);
        const [pretrain, acid] = phases;
        expect(asked.map(({ shard }) => shard).sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
        for (const { teacher } of asked) {
          expect(teacher.checkpoint.prefix).toBe(pretrain!.checkpoint.prefix);
          expect(teacher.model.vision.width).toBe(8);
        }
        const shard = trained.find(({ plan }) => plan.phase === 'acid')!;
        expect(shard.plan.curation!.sealed!.step).toBe(10);
        expect(shard.plan.settings.key).toBe('runs/scored/data/sealed.json');
        expect(acid!.checkpoint.step).toBe(10);
      },
    );
  });

  it('waits when the teacher can not be used, and scores again on retryPhase', async () => {
    let broken = true;
    let calls = 0;
    await temporal.serving(
      {
        plan: async ({ run }) => planned(run, 2),
        scoreShard: async ({ shard }) => {
          calls++;
          if (broken && shard === 1) throw new RunnerError('DataContract', 'the teacher is not what it was');
          return scored(shard);
        },
      },
      async (client) => {
        const run = await start(client, 'teacherless');
        await until(async () => (await run.query<RunStatus>('status')).state === 'waiting');
        const status = await run.query<RunStatus>('status');
        expect(status).toMatchObject({ phase: 'acid', failure: 'the teacher is not what it was' });
        broken = false;
        expect(await run.executeUpdate('retryPhase', { args: [{ phase: 'acid' }] })).toBe('accepted');
        expect((await run.result()).phases).toHaveLength(2);
        expect(calls).toBeGreaterThanOrEqual(4);
      },
    );
  });

  it('can be paused while it scores, and goes on where it was', async () => {
    let hold = true;
    let done = 0;
    await temporal.serving(
      {
        plan: async ({ run }) => planned(run, 3),
        scoreShard: async ({ shard }) => {
          const { cancellationSignal } = Context.current();
          const beat = setInterval(() => Context.current().heartbeat(), 50);
          try {
            while (hold && shard === 2) {
              cancellationSignal.throwIfAborted();
              await new Promise((resolve) => setTimeout(resolve, 20));
            }
          } finally {
            clearInterval(beat);
          }
          done++;
          return scored(shard);
        },
      },
      async (client) => {
        const run = await start(client, 'paused-scores');
        const phase = client.workflow.getHandle<typeof siglip2Phase>('paused-scores/acid');
        const of = async () => phase.query<Status>('status').catch(() => null);
        await until(async () => (await of())?.doing === 'scored 2 of 3 shards');
        expect(await of()).toMatchObject({ state: 'scoring', step: 0 });
        expect(await run.executeUpdate('pause', { args: [{ phase: 'acid' }] })).toBe('accepted');
        const lineOf = async () => (await run.query<RunStatus>('status')).phases.find((line) => line.phase === 'acid');
        await until(async () => (await lineOf())?.state === 'paused');
        expect(await of()).toMatchObject({ state: 'paused', step: 0 });
        hold = false;
        expect(await run.executeUpdate('resume', { args: [{ phase: 'acid' }] })).toBe('accepted');
        expect((await run.result()).phases).toHaveLength(2);
        expect(done).toBeGreaterThanOrEqual(3);
      },
    );
  });

  it('that is cancelled just when it has scored ends there, and tells of no training', async () => {
    let sealing = () => {};
    let seal = () => {};
    const begun = new Promise<void>((resolve) => {
      sealing = resolve;
    });
    const held = new Promise<void>((resolve) => {
      seal = resolve;
    });
    let trained = 0;
    await temporal.serving(
      {
        plan: async ({ run }) => planned(run, 1),
        sealScores: async ({ plan, teacher }) => {
          sealing();
          await held;
          return { ...plan, curation: { ...plan.curation!, sealed: teacher } };
        },
        trainShard: async (input) => {
          if (input.plan.phase === 'acid') trained++;
          return resultOf(input, input.toStep);
        },
      },
      async (client, workflows) => {
        const run = await start(client, 'cut-short');
        await begun;
        // So that the end of the scoring and the cancellation reach the workflow at once.
        await workflows.stop();
        const phase = client.workflow.getHandle<typeof siglip2Phase>('cut-short/acid');
        seal();
        const eventsOf = async () => (await phase.fetchHistory()).events!;
        await until(async () => {
          const events = await eventsOf();
          const sealed = events.find((event) => {
            return event.activityTaskScheduledEventAttributes?.activityType?.name === 'sealScores';
          });
          return events.some(({ activityTaskCompletedEventAttributes: done }) =>
            done?.scheduledEventId?.equals(sealed!.eventId!),
          );
        });
        await phase.cancel();
        await workflows.start();
        await expect(phase.result()).rejects.toThrow(/cancel/i);
        await expect(run.result()).rejects.toThrow();
        const told = (await eventsOf()).flatMap(({ upsertWorkflowSearchAttributesEventAttributes: shown }) => {
          const data = shown?.searchAttributes?.indexedFields?.SiglipState?.data;
          return data ? [JSON.parse(Buffer.from(data).toString())] : [];
        });
        // When it began, and with its one shard.
        expect(told).toEqual(['scoring', 'scoring', 'stopped']);
        const history = await run.query<Record<string, { what: string }[]>>('history');
        expect(history.acid!.map(({ what }) => what)).toEqual(told);
        expect(trained).toBe(0);
        await keepHistory(client, 'cut-short/acid', 'phase-cut-short.json');
      },
    );
  });

  it('of a data set of many shards continues as new, and leaves out none', async () => {
    const seen = new Set<number>();
    await temporal.serving(
      {
        plan: async ({ run }) => planned(run, 501),
        scoreShard: async ({ shard }) => {
          seen.add(shard);
          return scored(shard);
        },
      },
      async (client) => {
        const run = await start(client, 'many');
        await run.result();
        expect(seen.size).toBe(501);
        const first = await client.workflow.getHandle('many/acid').describe();
        expect(first.raw.workflowExecutionInfo?.firstRunId).not.toBe(first.runId);
      },
    );
  });

  it('with scores that need no store asks for none', async () => {
    let scores = 0;
    await temporal.serving(
      {
        plan: async ({ run }) => planned(run, 5, { stored: false }),
        scoreShard: async () => {
          scores++;
          throw new Error('not to be asked');
        },
      },
      async (client) => {
        const run = await start(client, 'online');
        expect((await run.result()).phases[1]!.checkpoint.step).toBe(10);
        expect(scores).toBe(0);
      },
    );
  });
});
