import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Context } from '@temporalio/activity';
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type { Activities } from '../../activities/types/activities.ts';
import type { PhasePlan, RunPlan } from '../../activities/types/plan.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import { prepare } from '../../infra/setup/prepare.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { PhaseEvent, RunStatus } from '../../workflows/messages.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { planOf, resultOf, runPlanOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';
import { smallHistories } from './small-histories.ts';

/** Histories that are a fortieth of the usual: a run of 100 shards has as many of them as one of 4,000. */
const suggested = 100;
const temporal = testTemporal(smallHistories({ most: 270, suggested }));

const start = (client: Client, run: string) =>
  client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
    taskQueue: 'siglip2',
    workflowId: run,
    args: [{ version: 1 }],
  });

/** All histories of a workflow, the first first. */
async function historiesOf(client: Client, workflowId: string): Promise<WorkflowExecutionInfo[]> {
  const found: WorkflowExecutionInfo[] = [];
  for await (const one of client.workflow.list({ query: `WorkflowId='${workflowId}'` })) found.push(one);
  return found.sort((a, b) => a.startTime.getTime() - b.startTime.getTime());
}

/** A trunk of so many steps, one in a shard; what branches off in its first history, and off near its end. */
function graph(run: string, steps: number): RunPlan {
  const at = (step: number) => ({ step, examples: 2 * step });
  const trunk: PhasePlan = { ...planOf(run, steps, 1), branches: [5, steps - 20] };
  const branch = (phase: string, from: number): PhasePlan => ({
    ...trunk,
    ...{ phase, origin: { phase: 'pretrain' }, branches: [], from: at(from), to: at(from + 10), shardSteps: 5 },
  });
  const short: PhasePlan = { ...planOf(run, 10, 5), phase: 'constructor' };
  return { ...runPlanOf(run), phases: [trunk, branch('broken', 5), branch('late', steps - 20), short] };
}

/** Counts what is asked of it, by phase. */
class Counted {
  readonly #counts = new Map<string, number>();
  add(phase: string): void {
    this.#counts.set(phase, this.of(phase) + 1);
  }
  of(phase: string): number {
    return this.#counts.get(phase) ?? 0;
  }
}

describe('a run of more shards than a history has room for', () => {
  it('begins a new history with its phases open, again and again, and loses nothing', async () => {
    const steps = 100;
    const trained: number[] = [];
    const [evaluated, exported] = [new Counted(), new Counted()];
    let mended = false;
    const began = new Map<string, number | null>();
    const activities: Partial<Activities> = {
      plan: async ({ run }) => graph(run, steps),
      async trainShard(input) {
        const { phase } = input.plan;
        if (!began.has(phase)) began.set(phase, input.parent?.step ?? null);
        if (phase === 'broken' && !mended) throw new RunnerError('DiskFull', 'the disk is full');
        if (phase === 'pretrain') trained.push(input.from?.step ?? 0);
        return { ...resultOf(input, input.toStep), deviceMs: 1000 };
      },
      async evaluate({ plan }) {
        evaluated.add(plan.phase);
        return { key: 'e', report: {} };
      },
      async exportModel({ plan }) {
        exported.add(plan.phase);
        return { uri: 's3://bucket/x/', prefix: 'x/', bytes: 1, sha256: 'e'.repeat(64) };
      },
    };
    await temporal.serving(activities, async (client, workflows) => {
      const run = await start(client, 'long');
      let asked = 0;
      const status = () => client.workflow.getHandle('long').query<RunStatus>('status');
      const ask = async (name: string, argument: object) => {
        const answer = await client.workflow.getHandle('long').executeUpdate(name, { args: [argument] });
        expect(answer).toBe('accepted');
        asked++;
      };
      // Wishes come at any moment of it, and a worker goes once.
      let restarted = false;
      for (;;) {
        const { phases } = await status();
        const trunk = phases.find(({ phase }) => phase === 'pretrain');
        if (trunk && trunk.step >= steps - 40) break;
        if (trunk?.state === 'training') await ask('setLimits', { phase: 'pretrain', step: 1000 + asked });
        if (trunk && trunk.step > 30 && !restarted) {
          await workflows.stop();
          await workflows.start();
          restarted = true;
        }
        await delay(1000);
      }
      await expect.poll(async () => (await status()).phases[2]!.state, { timeout: 30_000 }).toBe('done');
      const waiting = await status();
      expect(waiting).toMatchObject({ state: 'waiting', phase: 'broken', failure: 'the disk is full' });
      mended = true;
      await ask('retryPhase', { phase: 'broken', skip: { from: 7, to: 7 } });
      // In the last history as it was told in the first.
      const result = await run.result();
      const { phases } = result;
      expect(phases.map(({ phase, checkpoint }) => [phase, checkpoint.step, checkpoint.revision])).toEqual([
        ['pretrain', steps, 0],
        ['broken', 15, 1],
        ['late', steps - 10, 0],
        ['constructor', 10, 0],
      ]);
      for (const { phase } of phases) expect([phase, evaluated.of(phase), exported.of(phase)]).toEqual([phase, 1, 1]);
      expect([...began].filter(([phase]) => phase !== 'pretrain' && phase !== 'constructor')).toEqual([
        ['broken', 5],
        ['late', steps - 20],
      ]);
      // Each shard from the end of the one before; none twice.
      expect(trained).toEqual(Array.from({ length: steps }, (_, i) => i));
      const history = await client.workflow.getHandle('long').query<Record<string, PhaseEvent[]>>('history');
      expect(history.broken!.map(({ what }) => what)).toEqual(
        expect.arrayContaining(['waiting: the disk is full', 'leaves out batches 7 to 7', 'done']),
      );
      const granted = await client.workflow.getHandle('long/pretrain').query<Record<string, PhaseEvent[]>>('history');
      const last = granted.pretrain!.findLast(({ what }) => what.startsWith('limits'))!;
      expect(last.what).toBe(`limits {"step":${1000 + asked - 3}} -> {"step":${1000 + asked - 2}}`);
      const ended = async () => (await historiesOf(client, 'long')).filter(({ status }) => status.name !== 'RUNNING');
      await expect.poll(async () => (await ended()).at(-1)!.status.name, { timeout: 10_000 }).toBe('COMPLETED');
      const histories = await ended();
      // At the usual bounds that is 4,096 events and a hundred.
      expect(histories.length).toBeGreaterThan(3);
      for (const { historyLength } of histories) expect(historyLength).toBeLessThan(suggested + 100);
      await keepHistory(client, 'long', 'recipe-first-of-many.json', histories[0]!.runId);
      await keepHistory(client, 'long', 'recipe-next-of-many.json', histories[1]!.runId);
      await keepHistory(
        client,
        'long/broken',
        'phase-handed-over.json',
        (await historiesOf(client, 'long/broken'))[0]!.runId,
      );

      // Gone back to a history before the last: it comes to the same end.
      const { runId } = histories.at(-2)!;
      const { temporal: binary } = await prepare(['temporal']);
      const which = ['--workflow-id', 'long', '--run-id', runId, '--type', 'FirstWorkflowTask'];
      await promisify(execFile)(binary!, ['workflow', 'reset', ...which, '--reason', 'a test'], {
        env: { ...process.env, TEMPORAL_ADDRESS: temporal.address() },
      });
      const again = (await client.workflow.getHandle('long').result()) as typeof result;
      expect(again.phases.map(({ phase, checkpoint }) => [phase, checkpoint.step])).toEqual(
        phases.map(({ phase, checkpoint }) => [phase, checkpoint.step]),
      );
    });
  }, 180_000);

  it('that is cancelled at any moment of a change of its history ends stopped, with nothing left open', async () => {
    const trainShard = async (input: ShardInput) => {
      await Promise.race([delay(5), Context.current().cancelled.catch(() => {})]);
      return resultOf(input, input.toStep);
    };
    const plan: Activities['plan'] = async ({ run }) => graph(run, 1000);
    await temporal.serving({ plan, trainShard }, async (client) => {
      const runs = await Promise.all(['a', 'b', 'c'].map((name) => start(client, `cancelled-${name}`)));
      await Promise.all(
        runs.map(async (run, i) => {
          // Its trunk has continued as new by then, all but once; the run itself is about to, or does.
          await expect
            .poll(async () => (await run.describe()).historyLength, { timeout: 60_000, interval: 20 })
            .toBeGreaterThan(suggested - 12 + 6 * i);
          await client.workflow.getHandle(run.workflowId).cancel();
          await expect(client.workflow.getHandle(run.workflowId).result()).rejects.toThrow(/cancel/i);
          const status = await client.workflow.getHandle(run.workflowId).query<RunStatus>('status');
          expect(status.state).toBe('stopped');
          const { status: phase } = await client.workflow.getHandle(`${run.workflowId}/pretrain`).describe();
          expect(['CANCELLED', 'COMPLETED']).toContain(phase.name);
        }),
      );
    });
  }, 120_000);
});
