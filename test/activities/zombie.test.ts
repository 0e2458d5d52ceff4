import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { trainShard } from '../../activities/train-shard.ts';
import { listCommits, readCommit } from '../../src/checkpoint/commits.ts';
import { restoreCheckpoint } from '../../src/checkpoint/restore.ts';
import { findUnreferenced, sweepRun } from '../../src/checkpoint/sweep.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { long } from '../support/long.ts';
import { type Hands, hands, planOf, shard } from './fixture.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
beforeAll(async () => {
  server = await startServer();
  store = server.store({ attempts: 1 });
  on = hands();
});
afterAll(async () => {
  await on.close();
  await server.stop();
});

const rounds = long ? 100 : 8;

it.each([
  ['equal', 0],
  ['unequal', 7],
])(
  `a worker that was cut off and trains on beside the next attempt, with %s bytes: one committed result, ${rounds} times of ${rounds}`,
  async (kind, bits) => {
    const two = [on.trainer({ stepMs: 0 }), on.trainer({ stepMs: 0, bits })];
    const alone = await Promise.all(
      two.map(async (trainer, i) => {
        const deps = on.deps(store, { trainer, scratch: join(on.folder, `alone-${i}`) });
        const plan = await planOf(store, `${kind}-alone-${i}`);
        return (await trainShard(deps, shard(plan, 20), on.attempt())).checkpoint.sha256;
      }),
    );
    expect(alone[0] === alone[1]).toBe(bits === 0);
    for (let round = 0; round < rounds; round++) {
      const run = `${kind}-${round}`;
      const plan = await planOf(store, run);
      const attempts = two.map((trainer, i) => {
        const deps = on.deps(store, { trainer, scratch: join(on.folder, `scratch-${i}`) });
        return trainShard(deps, shard(plan, 20), on.attempt());
      });
      const [a, b] = await Promise.all(attempts);
      expect(a).toEqual(b);
      const commits = await listCommits(store, plan, 0);
      expect(commits.at(-1)).toMatchObject({ step: 20, sha256: a!.checkpoint.sha256 });
      expect(new Set(commits.map(({ step }) => step)).size).toBe(commits.length);
      // Every byte is that of the manifest, and each commit follows from the one before it.
      for (const { step } of commits) {
        const commit = await readCommit(store, { ...plan, revision: 0, step });
        const { manifest } = await restoreCheckpoint(store, commit, join(on.folder, `${run}-${step}`));
        const before = commits.filter((one) => one.step < step).at(-1);
        if (manifest.parent) expect(manifest.parent.sha256).toBe(before?.sha256);
      }
      await sweepRun(store, run, { graceMs: 0 });
      expect(await findUnreferenced(store, run)).toEqual([]);
    }
  },
  240_000,
);
