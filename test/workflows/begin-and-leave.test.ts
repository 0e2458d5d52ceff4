import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type { Activities } from '../../activities/types/activities.ts';
import type { RunPlan } from '../../activities/types/plan.ts';
import type { PruneInput, ShardInput, SweepInput } from '../../activities/types/shard.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { resultOf, runPlanOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';

const temporal = testTemporal();

/** A shard of a step every 20 ms, which ends at the step that it is at when it is cancelled. */
async function slowShard(input: ShardInput, stay = Number.POSITIVE_INFINITY) {
  const { cancellationSignal, heartbeat } = Context.current();
  let step = input.from?.step ?? input.plan.from.step;
  while (step < input.toStep && !cancellationSignal.aborted) {
    await delay(20);
    heartbeat({ step: step < stay ? ++step : step });
  }
  return resultOf(input, step);
}

/** A run whose plan says how many checkpoints stay, and what was asked of the bucket for it. */
async function kept(
  run: string,
  of: Partial<Activities>,
  work: (asked: { pruned: PruneInput[]; swept: SweepInput[]; shards: ShardInput[] }, client: Client) => Promise<void>,
) {
  const asked = { pruned: [] as PruneInput[], swept: [] as SweepInput[], shards: [] as ShardInput[] };
  const { trainShard = (input: ShardInput) => slowShard(input), ...others } = of;
  const activities: Partial<Activities> = {
    plan: async (): Promise<RunPlan> => {
      const plan = runPlanOf(run, 30, 10);
      return { ...plan, phases: plan.phases.map((phase) => ({ ...phase, keep: 2 })) };
    },
    trainShard: (input) => {
      asked.shards.push(input);
      return trainShard(input);
    },
    pruneCheckpoints: async (input) => {
      asked.pruned.push(input);
      return { removed: 0 };
    },
    sweep: async (input) => {
      asked.swept.push(input);
      return { prefixes: 0, uploads: 0 };
    },
    ...others,
  };
  await temporal.serving(activities, (client) => work(asked, client));
}

const start = (client: Client, run: string) =>
  client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', { taskQueue: 'siglip2', workflowId: run, args: [{}] });

const outcome = (result: Promise<unknown>) =>
  result.then(
    () => 'done',
    (error: Error) => (error.cause as Error | undefined)?.name ?? error.name,
  );

const sweeps = (swept: readonly SweepInput[]) =>
  swept.map(({ plan, ended }) => `${plan ? plan.phase : 'the run'}${ended ? ` ended with ${ended.step}` : ''}`);

describe('a phase', () => {
  it('begins where its bucket says, tells what was left there, and records what it ended with', async () => {
    const begun: Activities['beginPhase'] = async ({ plan, revision }) => ({
      revision: revision + 2,
      from: resultOf({ plan, revision: 0 } as ShardInput, 15).checkpoint,
      notes: ['rev/pretrain@20 (revision 1) was trained with another rate'],
    });
    await kept('begins', { beginPhase: begun }, async ({ shards, pruned, swept }, client) => {
      const run = await start(client, 'begins');
      expect((await run.result()).phases[0]!.checkpoint).toMatchObject({ step: 30, revision: 2 });
      expect(shards.map(({ revision, from, toStep }) => [revision, from?.step, from?.revision, toStep])).toEqual([
        [2, 15, 0, 20],
        [2, 20, 2, 30],
      ]);
      expect(pruned.map(({ revision, from }) => [revision, from?.step])).toEqual([
        [2, 20],
        [2, 30],
      ]);
      expect(sweeps(swept)).toEqual(['pretrain ended with 30', 'the run']);
      const { pretrain } = await client.workflow
        .getHandle('begins/pretrain')
        .query<Record<string, { what: string }[]>>('history');
      expect(pretrain!.map(({ what }) => what)).toContain('rev/pretrain@20 (revision 1) was trained with another rate');
      // What Temporal's pages show of a workflow.
      const details = async (workflow: string) =>
        (await client.workflow.getHandle(workflow).query<{ currentDetails: string }>('__temporal_workflow_metadata'))
          .currentDetails;
      const status = 'Status: `npm run siglip2 -- status begins`';
      expect(await details('begins')).toBe(
        `done, step 30\n\n${status}\n\nLogs: \`npm run siglip2 -- logs begins --follow\``,
      );
      expect(await details('begins/pretrain')).toBe(
        `pretrain, done, step 30\n\n${status}\n\nLogs: \`npm run siglip2 -- logs begins pretrain --follow\``,
      );
      await keepHistory(client, 'begins/pretrain', 'phase-begins-above.json');
      await keepHistory(client, 'begins', 'recipe-begins-above.json');
    });
  });

  it('that is cancelled keeps no more checkpoints than it is to, and lets go of what it had borrowed', async () => {
    // Its second shard doesn't end before it is cancelled, however late that comes.
    const trainShard: Activities['trainShard'] = (input) => slowShard(input, 15);
    await kept('cancelled', { trainShard }, async ({ pruned, swept, shards }, client) => {
      const run = await start(client, 'cancelled');
      await expect.poll(() => shards.length, { timeout: 20_000 }).toBe(2);
      await delay(100);
      await run.cancel();
      expect(await outcome(run.result())).toBe('CancelledFailure');
      const last = pruned.at(-1)!;
      expect(last.from!.step).toBeGreaterThan(10);
      expect(last.from!.step).toBeLessThan(30);
      expect(pruned).toHaveLength(2);
      expect(sweeps(swept)).toEqual(['pretrain', 'the run']);
      await keepHistory(client, 'cancelled/pretrain', 'phase-left-tidy.json');
      await keepHistory(client, 'cancelled', 'recipe-left-tidy.json');
    });
  });

  it('that is given up does so too, and a store that is away by then keeps nothing open', async () => {
    const trainShard = async () => {
      throw new RunnerError('DiskFull', 'the disk is full');
    };
    const sweep = async () => {
      throw new RunnerError('StorageRefused', 'no listing of uploads here');
    };
    await kept('given-up', { trainShard, sweep }, async ({ pruned }, client) => {
      const run = await start(client, 'given-up');
      await expect
        .poll(async () => (await run.query<{ state: string }>('status')).state, { timeout: 20_000 })
        .toBe('waiting');
      await run.executeUpdate('abandonPhase');
      expect(await outcome(run.result())).toBe('ApplicationFailure');
      expect(pruned).toHaveLength(1);
    });
  });

  it('of a run that could not be planned has nothing swept: the name may be of another', async () => {
    const plan = async () => {
      throw new RunnerError('RunNameTaken', 'the run name taken is taken');
    };
    await kept('taken', { plan }, async ({ swept }, client) => {
      expect(await outcome((await start(client, 'taken')).result())).toBe('ApplicationFailure');
      expect(swept).toEqual([]);
    });
  });
});
