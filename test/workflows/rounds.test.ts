import { setTimeout as delay } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type { Activities } from '../../activities/types/activities.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { MergeInput, ReplicaInput, ReplicaResult } from '../../activities/types/rounds.ts';
import type { ShardResult } from '../../activities/types/shard.ts';
import { formatStatus } from '../../src/commands/format-status.ts';
import { readRunStatus } from '../../src/commands/run-status.ts';
import { type Replicas, replicasSchema } from '../../src/recipe/replicas.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { PhaseEvent, Status } from '../../workflows/messages.ts';
import type { siglip2Phase } from '../../workflows/phase.ts';
import { slotsOfOneHistory } from '../../workflows/policies.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { planOf, resultOf, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';
import { checkpointOf, until } from './runs.ts';
import { runWideRounds, wideRounds } from './wide-rounds.ts';

const temporal = testTemporal();
const hash = 'a'.repeat(64);

/** Activities of rounds that say what they were asked. */
class FakeRounds {
  readonly trained: string[] = [];
  readonly merged: [from: number, to: number, members: string, late: string, revision: number][] = [];
  /** What happens before a slot has handed in. */
  meanwhile: (input: ReplicaInput) => Promise<void> = async () => {};

  readonly activities: Partial<Activities> = {
    beginRounds: async ({ plan, revision }) => ({
      checkpoint: resultOf({ plan, parent: null, revision, from: null, toStep: 0 }, plan.from.step).checkpoint,
      last: null,
    }),
    trainReplica: async (input): Promise<ReplicaResult> => {
      const { slot, round } = input;
      this.trained.push(`${slot} of ${round.from.step} to ${round.to}`);
      await this.meanwhile(input);
      const member = { slot, key: `r${round.to}-${slot}`, sha256: hash };
      return { slot, member, loss: 1, examplesPerSecond: 10, bytes: 100, down: 300, attempt: '1-1-a', deviceMs: 1000 };
    },
    mergeRound: async ({ round, members, late, plan, revision }: MergeInput): Promise<ShardResult> => {
      const slots = members.map(({ slot }) => slot).join(' ');
      this.merged.push([round.from.step, round.to, slots, late.join(' '), revision]);
      return resultOf({ plan, parent: null, revision, from: null, toStep: round.to }, round.to);
    },
  };
}

const inRounds = (run: string, replicas: object, steps = 30, changes: Partial<PhasePlan> = {}): PhasePlan => ({
  ...planOf(run, steps, 1000),
  replicas: replicasSchema.parse({ steps: 5, ...replicas }) as Replicas,
  ...changes,
});

const started = (client: Client, plan: PhasePlan) =>
  client.workflow.start<typeof siglip2Phase>('siglip2Phase', {
    taskQueue: 'siglip2',
    workflowId: `${plan.run}/pretrain`,
    args: [{ plan }],
  });

const notesOf = async (handle: Awaited<ReturnType<typeof started>>) =>
  (await handle.query<Record<string, PhaseEvent[]>>('history')).pretrain!.map(({ what }) => what);

describe('a phase in rounds', () => {
  it('has a slot for each replica, merges all of them by slot, and is cut at branches', async () => {
    const fake = new FakeRounds();
    fake.meanwhile = async ({ slot }) => void (await delay(slot === 0 ? 200 : 0));
    await temporal.serving(fake.activities, async (client) => {
      const handle = await started(client, inRounds('rounds', { number: 3 }, 35, { branches: [18] }));
      expect((await checkpointOf(handle)).step).toBe(35);
      expect(fake.merged).toEqual([
        [0, 15, '0 1 2', '', 0],
        [15, 18, '0 1 2', '', 0],
        [18, 33, '0 1 2', '', 0],
        // Two steps are left: two lanes.
        [33, 35, '0 1', '', 0],
      ]);
      expect([...fake.trained].sort().slice(0, 3)).toEqual(['0 of 0 to 15', '0 of 15 to 18', '0 of 18 to 33']);
      await keepHistory(client, 'rounds/pretrain', 'phase-rounds.json');
    });
  });

  it('shows the round under way: who is in, who has which slot, who is late, and the round before', async () => {
    const fake = new FakeRounds();
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    fake.meanwhile = async ({ slot, round }) => {
      const beat = { step: 13, slot, done: 3, of: 5, to: round.to, loss: 2, examplesPerSecond: 40, up: 0, down: 7000 };
      if (round.from.step === 0 || slot === 0) return;
      const { heartbeat } = Context.current();
      for (let i = 0; i < 2; i++) heartbeat({ ...beat, doing: null });
      await held;
    };
    const work = async (client: Client) => {
      const plan = inRounds('shown', { number: 3, quorum: 2, deadline: { minutes: 0.05 } }, 30);
      const handle = await started(client, plan);
      const text = async () => formatStatus(await readRunStatus(client, new MemoryStore(), 'shown/pretrain'));
      await expect.poll(text, { timeout: 20_000 }).toMatch(/, late\n/);
      const shown = await text();
      expect(shown).toMatch(/ {2}phase pretrain, step 26 of 30 .*, loss 1\.667, 90 examples\/s/);
      expect(shown).toMatch(
        / {2}round 2, steps 15 to 30: 3 slots, 1 in, begun \d+ s ago; its deadline is over, and 1 more are waited for\n/,
      );
      expect(shown).toMatch(/ {4}slot 0: in after \d s, loss 1\.000, 10 examples\/s, 100 bytes up, 300 bytes down\n/);
      expect(shown).toMatch(
        / {4}slot 2: .*\d+@.*, step 3 of 5, loss 2\.000, 40 examples\/s, 7\.0 kB down(, last heard of \d s ago)?, late\n/,
      );
      expect(shown).toMatch(/ {2}round 1 before it: 3 of 3 slots merged, 300 bytes up, 900 bytes down, \d+ s\n/);
      const { round } = await handle.query<Status>('status');
      expect(round).toMatchObject({ number: 2, from: 15, to: 30, slots: 3, quorum: 2, merging: false });
      expect(round!.in.map(({ slot }) => slot)).toEqual([0]);
      goOn();
      await checkpointOf(handle);
    };
    await temporal.serving(fake.activities, (client) => work(client).finally(goOn));
  });

  it('goes on after its deadline with a quorum, and has as many slots as came in time where that is left open', async () => {
    const fake = new FakeRounds();
    fake.meanwhile = async ({ slot, round }) => {
      // The last slot of the first round is frozen; then its worker is gone.
      if (slot === 3 && round.from.step === 0) await delay(6000);
    };
    const deadline = { minutes: 0.03 };
    await temporal.serving(fake.activities, async (client) => {
      const plan = inRounds('late', { number: { least: 2, most: 4 }, quorum: 2, deadline }, 70);
      const handle = await started(client, plan);
      expect((await checkpointOf(handle)).step).toBe(70);
      expect(fake.merged).toEqual([
        [0, 20, '0 1 2', '3', 0],
        [20, 35, '0 1 2', '', 0],
        [35, 55, '0 1 2 3', '', 0],
        [55, 70, '0 1 2 3', '', 0],
      ]);
      expect(await notesOf(handle)).toContain('the round to step 20 went on without slot 3');
    });
  });

  it('waits beyond its deadline for a quorum', async () => {
    const fake = new FakeRounds();
    fake.meanwhile = async ({ slot }) => void (await delay(slot < 2 ? 0 : 2500 + 1500 * (slot - 2)));
    await temporal.serving(fake.activities, async (client) => {
      const plan = inRounds('quorum', { number: 4, quorum: 3, deadline: { minutes: 0.01 } }, 20);
      await checkpointOf(await started(client, plan));
      expect(fake.merged).toEqual([[0, 20, '0 1 2', '3', 0]]);
    });
  });

  it('pauses and changes its replicas between rounds, and refuses what can not be', async () => {
    const fake = new FakeRounds();
    let goOn = () => {};
    const asked = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    fake.meanwhile = () => asked;
    const replan: Activities['replan'] = async ({ plan, replicas }) => ({ ...plan, ...(replicas && { replicas }) });
    await temporal.serving({ ...fake.activities, replan }, async (client) => {
      const handle = await started(client, inRounds('steered', { number: 2 }, 60));
      const ask = (name: string, argument: object = {}) =>
        handle.executeUpdate<string, [object]>(name, { args: [argument] });
      const refusal = async (argument: object) =>
        ask('setReplicas', argument).then(
          () => null,
          (error) => (error as { cause?: Error }).cause?.message,
        );
      await until(() => fake.trained.length > 0);
      expect(await refusal({ quorum: 2 })).toBe(
        'setReplicas is refused: quorum is 2; it is allowed beside a deadline alone, such as {"minutes": 15}',
      );
      expect(await refusal({ slots: 3 })).toBe(
        "setReplicas is refused: slots can't be changed; allowed: number, steps, lanes, outer, exchange, moments, quorum, deadline",
      );
      expect(await refusal({})).toMatch(/^setReplicas is refused: nothing is named; allowed: number/);
      await ask('pause');
      goOn();
      await until(async () => (await handle.query<Status>('status')).state === 'paused');
      // The round that was under way is whole.
      expect(fake.merged).toEqual([[0, 10, '0 1', '', 0]]);
      await ask('setReplicas', { number: 4, steps: 3 });
      await ask('resume');
      await checkpointOf(handle);
      expect(fake.merged.slice(1, 3)).toEqual([
        [10, 22, '0 1 2 3', '', 1],
        [22, 34, '0 1 2 3', '', 1],
      ]);
      expect(await notesOf(handle)).toContainEqual(expect.stringMatching(/^replicas {"number":2.*-> {"number":4/));
    });
  });

  it('of which a slot diverges goes back to where the round began, and leaves out the batch', async () => {
    const fake = new FakeRounds();
    const skips: unknown[] = [];
    fake.meanwhile = async ({ slot, round, revision, skip }) => {
      if (slot === 1 && round.from.step === 10 && revision === 0)
        throw new RunnerError('NonFinite', 'the loss is NaN', { details: { step: 13, batch: 16 } });
      if (round.from.step === 10 && revision === 1) skips.push(skip);
    };
    await temporal.serving(
      {
        ...fake.activities,
        recoverCheckpoint: async ({ plan, belowStep }) => {
          expect(belowStep).toBe(13);
          return resultOf({ plan, parent: null, revision: 0, from: null, toStep: 10 }, 10).checkpoint;
        },
      },
      async (client) => {
        await checkpointOf(await started(client, inRounds('diverged', { number: 2 }, 20, { leaveOut: 3 })));
        expect(fake.merged).toEqual([
          [0, 10, '0 1', '', 0],
          [10, 20, '0 1', '', 1],
        ]);
        expect(skips).toEqual([[16], [16]]);
      },
    );
  });

  it('that is cancelled gives the round up, and ends with the checkpoint before it', async () => {
    const fake = new FakeRounds();
    fake.meanwhile = async ({ round }) => void (await delay(round.from.step === 0 ? 0 : 3000));
    await temporal.serving(fake.activities, async (client) => {
      const handle = await started(client, inRounds('cancelled', { number: 2 }, 60));
      await until(() => fake.trained.length > 2);
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
      expect(fake.merged).toEqual([[0, 10, '0 1', '', 0]]);
      expect(await handle.query<Status>('status')).toMatchObject({ state: 'stopped', step: 10 });
    });
  });

  // The long form is `npm run bench -- --only rounds/history`.
  it('of 64 slots begins a new history before that has 10,000 events', async () => {
    const { activities, counted } = wideRounds(64, 2);
    await temporal.serving(activities, async (client) => {
      const histories = await runWideRounds(client, 'wide');
      expect(counted).toEqual({ trained: 128, merged: 2 });
      const [phase] = histories.filter(({ workflow }) => workflow === 'pretrain');
      // A round more than there may be slots of in a history, if the last one began just below.
      expect((phase!.events / 128) * (slotsOfOneHistory + 64)).toBeLessThan(10_000);
      expect(histories).toHaveLength(2);
    });
  });
});
