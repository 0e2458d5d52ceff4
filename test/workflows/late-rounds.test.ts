import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { beginRounds } from '../../activities/begin-rounds.ts';
import { mergeRound } from '../../activities/merge-round.ts';
import { trainReplica } from '../../activities/train-replica.ts';
import type { ReplicaInput } from '../../activities/types/rounds.ts';
import { listCommits } from '../../src/checkpoint/commits.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import type { siglip2Phase } from '../../workflows/phase.ts';
import { type Hands, hands, planOf } from '../activities/fixture.ts';
import { slowRounds } from '../activities/slow-rounds.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { tinySettings } from '../train/settings.ts';
import { testTemporal } from './harness.ts';
import { checkpointOf } from './runs.ts';

const temporal = testTemporal();
let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let trainer: TrainerProcess;

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  const script = fileURLToPath(new URL('../trainer/fake-rounds-trainer.ts', import.meta.url));
  trainer = createTrainerProcess({ lockFile: join(on.folder, 'device.lock'), log: { info() {}, warn() {} }, script });
});
afterAll(async () => {
  await trainer.close();
  await on.close();
  await server.stop();
});

it('a run with a deadline is the pure function of who was in, as its manifests say: of slots that were late, failed, and came after', async () => {
  const of = { exchange: 'int8', moments: 'averaged', outer: { rate: 0.7, momentum: 0.9, nesterov: true } } as const;
  const replicas = replicasSchema.parse({ number: 4, steps: 3, quorum: 2, deadline: { minutes: 0.05 }, ...of });
  const plan = { ...(await planOf(store, 'late', { replicas })), replicas, to: { step: 36, examples: 36 * 6 } };
  const deps = on.deps(store, { trainer });
  const failed = new Set<string>();
  /** Hands in after its round was merged; fails at first; fails until its round is over. */
  const trouble = async ({ round, slot }: ReplicaInput) => {
    const who = `${slot} of ${round.from.step}`;
    if (who === '3 of 0') await delay(6000);
    const once = who === '1 of 12' && !failed.has(who);
    if (once || who === '2 of 12') {
      failed.add(who);
      throw new RunnerError('StorageUnavailable', 'the store is away');
    }
  };
  await temporal.serving(
    {
      beginRounds: (input) => beginRounds(deps, input, on.attempt()),
      trainReplica: async (input) => {
        await trouble(input);
        return trainReplica(deps, input, on.attempt());
      },
      mergeRound: (input) => mergeRound(deps, input, on.attempt()),
    },
    async (client) => {
      const handle = await client.workflow.start<typeof siglip2Phase>('siglip2Phase', {
        taskQueue: 'siglip2',
        workflowId: 'late/pretrain',
        args: [{ plan }],
      });
      expect((await checkpointOf(handle)).step).toBe(36);
    },
  );
  const commits = await listCommits(store, { run: 'late', phase: 'pretrain' }, 0);
  const rounds = [];
  for (const commit of commits.filter(({ step }) => step > 0).sort((a, b) => a.step - b.step)) {
    const { from, slots, members, late } = (await readManifest(store, commit)).manifest.round!;
    rounds.push({ steps: commit.step - from, slots, members: members.map(({ slot }) => slot), late, commit });
  }
  // How fast this machine is decides who else is late; whoever it is, the bytes follow.
  expect(rounds[0]!.late).toContain(3);
  expect(rounds[1]!.late).toContain(2);
  expect(rounds.map(({ commit }) => commit.sha256)).toEqual(await slowRounds(tinySettings, rounds, of));
});
