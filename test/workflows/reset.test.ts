import { setTimeout as delay } from 'node:timers/promises';
import { CancelledFailure, Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type { Activities } from '../../activities/types/activities.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import type { RunStatus } from '../../workflows/messages.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { resultOf, runPlanOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';
import { taskAfter, typed } from './temporal-command.ts';

/** `temporal workflow reset` and `temporal activity pause`, as a person types them, on the pinned server. */
const temporal = testTemporal();

const type = (...words: string[]) => typed(temporal.address(), ...words);
const reset = (workflow: string, ...words: string[]) =>
  type('workflow', 'reset', '--workflow-id', workflow, '--reason', 'a test', ...words);
/** The task that follows the result of the first shard. */
const afterFirstShard = (client: Client, workflow: string) => taskAfter(client, workflow, 'trainShard');

interface Shards {
  /** `from-to` of each that was asked for, with its revision above 0. */
  readonly asked: string[];
  readonly activities: Partial<Activities>;
}

/** Shards of 20 ms a step, which end at the step that they are at when they are cancelled; a paused one when `pausedBy` is over. */
function shards(run: string, steps: number, shard: number, pausedBy: () => Promise<void>): Shards {
  const asked: string[] = [];
  return {
    asked,
    activities: {
      plan: async () => runPlanOf(run, steps, shard),
      async trainShard(input: ShardInput) {
        const { cancellationSignal, heartbeat } = Context.current();
        let step = input.from?.step ?? input.plan.from.step;
        asked.push(`${step}-${input.toStep}${input.revision > 0 ? ` r${input.revision}` : ''}`);
        while (step < input.toStep && !cancellationSignal.aborted) {
          await delay(20);
          heartbeat({ step: ++step });
        }
        if (Context.current().cancellationDetails?.paused && step < input.toStep) {
          await pausedBy();
          throw new CancelledFailure('paused');
        }
        return resultOf(input, step);
      },
    },
  };
}

async function running(
  name: string,
  [steps, shard]: [number, number],
  work: (client: Client, asked: string[], status: () => Promise<RunStatus>) => Promise<void>,
  pausedBy = async () => {},
): Promise<void> {
  const { asked, activities } = shards(name, steps, shard, pausedBy);
  await temporal.serving(activities, async (client) => {
    await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
      taskQueue: 'siglip2',
      workflowId: name,
      args: [{}],
    });
    await work(client, asked, () => client.workflow.getHandle(name).query<RunStatus>('status'));
  });
}
const stepOf = async (client: Client, name: string) =>
  (await client.workflow.getHandle<typeof siglip2Recipe>(name).result()).phases[0]!.checkpoint.step;

describe('temporal workflow reset', () => {
  it('of a phase that is training asks again for the shards after the point, and the run follows it', async () => {
    await running('open-phase', [60, 20], async (client, asked) => {
      await expect.poll(() => asked.length, { timeout: 20_000 }).toBe(3);
      const event = await afterFirstShard(client, 'open-phase/pretrain');
      expect(await reset('open-phase/pretrain', '--event-id', event)).toMatch(/Resetting workflow open-phase.pretrain/);
      expect(await stepOf(client, 'open-phase')).toBe(60);
      // Real shards find their commits; that they adopt them is tested in activities/train-shard.
      expect(asked).toEqual(['0-20', '20-40', '40-60', '20-40', '40-60']);
    });
  });

  it('of a phase that has ended leaves the finished run as it is', async () => {
    await running('done-phase', [20, 10], async (client, asked) => {
      expect(await stepOf(client, 'done-phase')).toBe(20);
      await reset('done-phase/pretrain', '--event-id', await afterFirstShard(client, 'done-phase/pretrain'));
      expect((await client.workflow.getHandle('done-phase/pretrain').result()).checkpoint.step).toBe(20);
      expect(asked).toEqual(['0-10', '10-20', '10-20']);
      expect((await client.workflow.getHandle('done-phase').describe()).status.name).toBe('COMPLETED');
    });
  });

  it('of a run with no phase open runs its phases again under their names', async () => {
    await running('done-run', [20, 10], async (client, asked) => {
      await stepOf(client, 'done-run');
      expect(await reset('done-run', '--type', 'FirstWorkflowTask')).toMatch(/Resetting workflow done-run/);
      expect(await stepOf(client, 'done-run')).toBe(20);
      expect(asked).toEqual(['0-10', '10-20', '0-10', '10-20']);
    });
  });

  it('of a run with a phase open waits until that has ended with its checkpoint, and says so', async () => {
    await running('open-run', [400, 200], async (client, asked, status) => {
      await expect.poll(() => asked.length, { timeout: 20_000 }).toBe(1);
      await reset('open-run', '--type', 'FirstWorkflowTask');
      await expect.poll(() => asked.length, { timeout: 20_000 }).toBe(2);
      expect((await status()).state).toBe('training');
      const history = await client.workflow.getHandle('open-run').query<Record<string, { what: string }[]>>('history');
      expect(history.pretrain!.map(({ what }) => what)).toContain(
        'waits for open-run/pretrain of before to end; temporal workflow cancel --workflow-id open-run/pretrain',
      );
      expect(await stepOf(client, 'open-run')).toBe(400);
    });
  }, 60_000);

  it('applies updates of after the point again, unless they are excluded', async () => {
    await running('reapplied', [300, 100], async (client, asked, status) => {
      await expect.poll(() => asked.length, { timeout: 20_000 }).toBe(2);
      const phase = 'reapplied/pretrain';
      await client.workflow.getHandle(phase).executeUpdate('pause');
      await expect.poll(async () => (await status()).state, { timeout: 20_000 }).toBe('paused');
      const event = await afterFirstShard(client, phase);
      await reset(phase, '--event-id', event);
      await delay(1000);
      expect((await client.workflow.getHandle(phase).query<RunStatus>('status')).state).toBe('paused');
      await reset(phase, '--event-id', event, '--reapply-exclude', 'Update');
      expect(await stepOf(client, 'reapplied')).toBe(300);
    });
  }, 60_000);

  it('is refused by the server in a sentence where there is nothing to go back to', async () => {
    await running('refused', [20, 10], async (client) => {
      await stepOf(client, 'refused');
      expect(await reset('refused/pretrain', '--event-id', '9999')).toMatch(/EventId|event/i);
      // Only where a workflow task ended.
      const { events } = await client.workflow.getHandle('refused/pretrain').fetchHistory();
      const shard = events!.find(({ activityTaskStartedEventAttributes: started }) => started)!;
      expect(await reset('refused/pretrain', '--event-id', String(shard.eventId))).toMatch(
        /failed to reset workflow: .*(this event must be at the boundary|Can only reset workflow to event ID in range)/,
      );
      expect(await reset('refused/elsewhere', '--type', 'FirstWorkflowTask')).toMatch(/not found/i);
    });
  });
});

describe('temporal activity pause', () => {
  it('ends the shard with its checkpoint; it shows as paused until it is unpaused, and then goes on', async () => {
    await running('held', [150, 150], async (client, asked) => {
      await expect.poll(() => asked.length, { timeout: 20_000 }).toBe(1);
      const { raw: now } = await client.workflow.getHandle('held/pretrain').describe();
      const { activityId } = now.pendingActivities!.find(({ activityType }) => activityType?.name === 'trainShard')!;
      const shard = ['--workflow-id', 'held/pretrain', '--activity-id', activityId!];
      await type('activity', 'pause', ...shard);
      const pending = async () => {
        const { raw } = await client.workflow.getHandle('held/pretrain').describe();
        const [first] = raw.pendingActivities ?? [];
        return first && { paused: first.paused, state: first.state, failure: first.lastFailure?.message };
      };
      // 1 is scheduled: no attempt of it runs.
      await expect.poll(pending, { timeout: 20_000 }).toMatchObject({ paused: true, failure: 'Activity paused' });
      await delay(1500);
      expect(asked).toHaveLength(1);
      await type('activity', 'unpause', ...shard);
      expect(await stepOf(client, 'held')).toBe(150);
      expect(asked).toHaveLength(2);
    });
  }, 60_000);

  it('is no failure of the phase where something is asked of it while the shard ends', async () => {
    let [ending, end] = [false, () => {}];
    const pausedBy = () => {
      ending = true;
      return new Promise<void>((resolve) => {
        end = resolve;
      });
    };
    const work = async (client: Client, asked: string[], status: () => Promise<RunStatus>) => {
      const phase = client.workflow.getHandle('asked/pretrain');
      const scheduled = async () =>
        (await phase.describe()).raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'trainShard');
      await expect.poll(() => asked.length, { timeout: 20_000 }).toBe(1);
      const { activityId } = (await scheduled())!;
      await type('activity', 'pause', '--workflow-id', 'asked/pretrain', '--activity-id', activityId!);
      await expect.poll(() => ending, { timeout: 20_000 }).toBe(true);
      await client.workflow.getHandle('asked').executeUpdate('pause');
      // 3 is that its end was asked for: it is not tried again then.
      await expect.poll(async () => (await scheduled())?.state, { timeout: 20_000 }).toBe(3);
      end();
      await expect.poll(async () => (await status()).state, { timeout: 20_000 }).toBe('paused');
      expect((await status()).failure).toBe(null);
      await client.workflow.getHandle('asked').executeUpdate('resume');
      expect(await stepOf(client, 'asked')).toBe(150);
      await keepHistory(client, 'asked/pretrain', 'phase-activity-paused.json');
    };
    await running('asked', [150, 150], work, pausedBy);
  }, 60_000);
});
