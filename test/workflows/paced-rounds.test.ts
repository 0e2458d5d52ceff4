import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { beginRounds } from '../../activities/begin-rounds.ts';
import { mergeRound } from '../../activities/merge-round.ts';
import { trainReplica } from '../../activities/train-replica.ts';
import type { Activities } from '../../activities/types/activities.ts';
import type { ReplicaInput } from '../../activities/types/rounds.ts';
import { listCommits, readCommit } from '../../src/checkpoint/commits.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import type { Status } from '../../workflows/messages.ts';
import type { siglip2Phase } from '../../workflows/phase.ts';
import { type Hands, hands, planOf } from '../activities/fixture.ts';
import { slowRounds } from '../activities/slow-rounds.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { tinySettings } from '../train/settings.ts';
import { testTemporal } from './harness.ts';
import { checkpointOf } from './runs.ts';
import { taskAfter, typed } from './temporal-command.ts';

const temporal = testTemporal();
const script = fileURLToPath(new URL('../trainer/fake-rounds-trainer.ts', import.meta.url));
/** Examples a second of the worker that takes each slot. */
const paces = [10, 20, 40];
let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let trainers: TrainerProcess[];

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  trainers = paces.map((examplesPerSecond, i) =>
    createTrainerProcess({
      lockFile: join(on.folder, `device-${i}.lock`),
      log: { info() {}, warn() {} },
      script,
      env: { ...process.env, FAKE_FAULT: JSON.stringify({ examplesPerSecond }) },
    }),
  );
});
afterAll(async () => {
  for (const trainer of trainers) await trainer.close();
  await on.close();
  await server.stop();
});

const of = { exchange: 'int8', moments: 'kept', outer: { rate: 0.7, momentum: 0.9, nesterov: true } } as const;
const planned = async (run: string, lanes: object, end = 70) => {
  const replicas = replicasSchema.parse({ number: 3, steps: 7, ...of, ...lanes });
  const plan = await planOf(store, run, { replicas });
  return { ...plan, replicas, branches: [47], to: { step: end, examples: end * 6 } };
};
type Planned = Awaited<ReturnType<typeof planned>>;

/** Activities as they are, each slot on a worker of its pace. */
function activities(before: (input: ReplicaInput) => Promise<void> = async () => {}): Partial<Activities> {
  const deps = (slot: number) =>
    on.deps(store, { trainer: trainers[slot]!, scratch: join(on.folder, `worker-${slot}`) });
  return {
    beginRounds: (input) => beginRounds(deps(0), input, on.attempt()),
    trainReplica: async (input) => {
      await before(input);
      return trainReplica(deps(input.slot), input, on.attempt());
    },
    mergeRound: (input) => mergeRound(deps(0), input, on.attempt()),
  };
}

const started = (client: Client, plan: Planned) =>
  client.workflow.start<typeof siglip2Phase>('siglip2Phase', {
    taskQueue: 'siglip2',
    workflowId: `${plan.run}/pretrain`,
    args: [{ plan }],
  });

/** The rounds of a run, as its manifests say. */
async function roundsOf(run: string) {
  const commits = (await listCommits(store, { run, phase: 'pretrain' }, 0)).filter(({ step }) => step > 0);
  commits.sort((a, b) => a.step - b.step);
  return Promise.all(
    commits.map(async (commit) => {
      const { from, slots, members, lengths } = (await readManifest(store, commit)).manifest.round!;
      return {
        steps: commit.step - from,
        slots,
        members: members.map(({ slot }) => slot),
        lengths,
        commit,
        each: members,
      };
    }),
  );
}

it('a run that is dealt by pace is the pure function of the lengths that its manifests say, and its rounds take what the mean of its workers takes', async () => {
  let end: CheckpointRef | null = null;
  await temporal.serving(activities(), async (client) => {
    end = await checkpointOf(await started(client, await planned('dealt', { lanes: 'paced' })));
  });
  const rounds = await roundsOf('dealt');
  expect(rounds.map(({ lengths }) => lengths)).toEqual([
    // Of the first nobody knows.
    [7, 7, 7],
    [3, 6, 12],
    // Up to the branch there are five steps: none is without one.
    [1, 1, 3],
    [3, 6, 12],
    // What is left of the phase.
    [1, 1],
  ]);
  const hashes = rounds.map(({ commit }) => commit.sha256);
  expect(hashes).toEqual(await slowRounds(tinySettings, rounds, of));
  expect(end).toMatchObject({ step: 70, sha256: hashes.at(-1) });
  // Its weight in the mean is what each was trained on.
  expect(rounds[1]!.each.map(({ steps, examples, pace }) => [steps, examples, pace])).toEqual([
    [3, 18, 10],
    [6, 36, 20],
    [12, 72, 40],
  ]);
  const figures = (await readCommit(store, rounds[1]!.commit)).metrics.figures!;
  expect([0, 1, 2].map((slot) => figures[`slot/${slot}/steps`])).toEqual([3, 6, 12]);
  // A round ends with its last lane: 21 steps of 6 examples take three times as long by the slowest as by all together.
  const wall = ({ each }: (typeof rounds)[number]) =>
    Math.max(...each.map(({ slot, examples }) => examples / paces[slot]!));
  const together = (21 * 6) / (10 + 20 + 40);
  expect(wall(rounds[0]!)).toBeCloseTo(4.2, 9);
  expect(wall(rounds[1]!)).toBeCloseTo(together, 9);
  expect(wall(rounds[3]!)).toBeCloseTo(together, 9);
});

it('a phase that begins anew from a checkpoint of it deals as one that never ended: its paces are in the checkpoint', async () => {
  const plan = await planned('anew', { lanes: 'paced' }, 63);
  const asked: string[] = [];
  const before = async ({ slot, round, lane }: ReplicaInput) => {
    asked.push(`${round.from.step}: ${slot} ${lane?.first}+${lane?.steps}`);
    if (asked.length === 6) throw new Error('gone');
  };
  await temporal.serving(activities(before), async (client) => {
    const first = await started(client, plan);
    await expect.poll(() => asked.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(6);
    await first.terminate();
    const before = asked.length;
    const second = await started(client, plan);
    expect((await checkpointOf(second)).step).toBe(63);
    const again = asked.slice(before).filter((one) => one.startsWith('21:'));
    expect(new Set(again)).toEqual(new Set(['21: 0 22+3', '21: 1 25+6', '21: 2 31+12']));
  });
  const rounds = await roundsOf('anew');
  expect(rounds.map(({ commit }) => commit.sha256)).toEqual(await slowRounds(tinySettings, rounds, of));
});

it.each([{ lanes: 'paced' }, {}])(
  'a reset in the midst of a round, of %j, goes on with what was handed in, and ends in the bytes of a run that nobody disturbed',
  async (lanes) => {
    const run = `reset-${'lanes' in lanes ? 'paced' : 'alike'}`;
    const plan = await planned(run, lanes);
    let goOn = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const asked: string[] = [];
    const before = async ({ slot, round }: ReplicaInput) => {
      const who = `${slot} of ${round.from.step}`;
      asked.push(who);
      // The first attempt at it is under way when the history is cut.
      if (who === '2 of 21' && asked.filter((one) => one === who).length === 1) await held;
    };
    await temporal
      .serving(activities(before), async (client) => {
        await started(client, plan);
        const handle = client.workflow.getHandle<typeof siglip2Phase>(`${run}/pretrain`);
        const members = async () => {
          const { round } = await handle.query<Status>('status');
          return `${round?.in.length} from step ${round?.from}`;
        };
        await expect.poll(members, { timeout: 60_000 }).toBe('2 from step 21');
        const reason = ['--reason', 'a test', '--event-id', await taskAfter(client, handle.workflowId, 'mergeRound')];
        const said = await typed(
          temporal.address(),
          'workflow',
          'reset',
          '--workflow-id',
          handle.workflowId,
          ...reason,
        );
        expect(said).toMatch(/Resetting workflow/);
        expect((await checkpointOf(handle)).step).toBe(70);
        goOn();
      })
      .finally(goOn);
    expect(asked.filter((one) => one.endsWith(' of 21')).sort()).toEqual(
      [0, 0, 1, 1, 2, 2].map((slot) => `${slot} of 21`),
    );
    const rounds = await roundsOf(run);
    expect(rounds.map(({ steps }) => steps)).toEqual([21, 21, 5, 21, 2]);
    expect(rounds[1]!.lengths).toEqual('lanes' in lanes ? [3, 6, 12] : undefined);
    expect(rounds.map(({ commit }) => commit.sha256)).toEqual(await slowRounds(tinySettings, rounds, of));
  },
);
