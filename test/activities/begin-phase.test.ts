import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { beginPhase } from '../../activities/begin-phase.ts';
import { keepDocument } from '../../activities/documents.ts';
import { pruneCheckpoints, sweep } from '../../activities/prune-checkpoints.ts';
import { recoverCheckpoint } from '../../activities/recover-checkpoint.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { findCommits, readCommit } from '../../src/checkpoint/commits.ts';
import { parseLatest } from '../../src/checkpoint/documents.ts';
import { readEnd } from '../../src/checkpoint/ends.ts';
import { commitKey } from '../../src/checkpoint/keys.ts';
import { pullCheckpoint } from '../../src/checkpoint/pull.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { listRuns } from '../../src/commands/list-runs.ts';
import { remove } from '../../src/commands/remove.ts';
import { readRunStatus } from '../../src/commands/run-status.ts';
import { checkpointFor } from '../../src/plan/origin.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import type { TrainerProcess } from '../../src/trainer/process.ts';
import { rot } from '../storage/rot.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { tinySettings } from '../train/settings.ts';
import { type Hands, hands, planOf, shard } from './fixture.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let trainer: TrainerProcess;
let folder: string;
beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  trainer = on.trainer();
  folder = await mkdtemp(join(tmpdir(), 'siglip2-begin-'));
});
afterAll(async () => {
  await on.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

const begin = (plan: PhasePlan, revision = 0, skip: number[] = []) =>
  beginPhase(on.deps(store), { plan, parent: null, skip, revision }, on.attempt());
/** A shard for each checkpoint: within one, a slow machine would leave out what a later one overtakes. */
async function train(plan: PhasePlan, toStep: number, revision = 0, from: CheckpointRef | null = null) {
  for (let step = (from?.step ?? 0) + 10; step < toStep; step += 10) await trainTo(plan, step, revision, from);
  return trainTo(plan, toStep, revision, from);
}
const trainTo = async (plan: PhasePlan, toStep: number, revision: number, from: CheckpointRef | null) =>
  (await trainShard(on.deps(store, { trainer }), shard(plan, toStep, from, revision), on.attempt())).checkpoint;
const stepsOf = async (run: string) =>
  (await findCommits(store, { run })).map(({ revision, step }) => `r${revision}@${step}`).sort();
const lines = async (from: AsyncIterable<string>) => {
  const all: string[] = [];
  for await (const line of from) all.push(line);
  return all;
};

/** The same phase with what a person set by retryPhase. */
async function withRate(plan: PhasePlan, learningRate: number): Promise<PhasePlan> {
  const settings = { ...tinySettings, optimizer: { ...tinySettings.optimizer, learningRate } };
  return { ...plan, settings: await keepDocument(store, plan.run, 'pretrain-settings', settings) };
}

describe('a run that is started again under its name', () => {
  const run = 'rev';
  const phase = { run, phase: 'pretrain' };
  let plan: PhasePlan;
  let ended: CheckpointRef;

  it('begins above the revision that a person had changed, from what is its own, and says what is not set any more', async () => {
    plan = await withRate({ ...(await planOf(store, run)), keep: 2 }, 0.001);
    expect(await begin(plan)).toEqual({ revision: 0, from: null, notes: [] });
    const half = await train(plan, 20);
    // Paused, tried again with another rate, and terminated at step 50.
    const changed = await withRate(plan, 0.003);
    await train(changed, 50, 1, half);
    expect(await stepsOf(run)).toEqual(['r0@10', 'r0@20', 'r1@30', 'r1@40', 'r1@50']);
    expect(await begin(changed, 1)).toEqual({ revision: 1, from: null, notes: [expect.stringContaining('@20 was')] });
    const begun = await begin(plan);
    expect(begun).toEqual({
      revision: 2,
      from: half,
      notes: [
        'rev/pretrain@50 (revision 1) was trained with optimizer.learningRate 0.003 where this run has 0.001; ' +
          'revision 2 goes on from step 20 without; retryPhase {"learningRate":0.003} sets it again',
      ],
    });
    // A start that was cut off before its first checkpoint begins there again; one that has checkpoints goes on in it.
    expect(await begin(plan)).toEqual(begun);
    await train(plan, 40, 2, half);
    expect(await begin(plan)).toMatchObject({ revision: 2, from: null });
    ended = await train(plan, 60, 2, half);
    expect(ended).toMatchObject({ revision: 2, step: 60 });
  });

  it('keeps as many checkpoints of what it trains as it is to, and never loses what a phase ended with', async () => {
    await pruneCheckpoints(on.deps(store), { plan, from: ended, revision: 2 }, on.attempt());
    expect(await stepsOf(run)).toEqual(['r2@50', 'r2@60']);
    // Under older code a run could go on below what was given up: the revision that is trained counts.
    await train(await withRate(plan, 0.004), 40, 3);
    await pruneCheckpoints(on.deps(store), { plan, from: ended, revision: 2 }, on.attempt());
    expect(await stepsOf(run)).toEqual(['r2@50', 'r2@60']);
    await train(await withRate(plan, 0.004), 40, 3);
  });

  it('is known by what its phase ended with, whatever was given up in later revisions', async () => {
    await sweep(on.deps(store), { run, plan, ended }, on.attempt());
    expect(await readEnd(store, phase)).toEqual(ended);
    const hint = async () => parseLatest(await store.get(`runs/${run}/pretrain/latest.json`)).value;
    expect(await hint()).toMatchObject({ revision: 2, step: 60 });
    expect((await readRunStatus(null, store, run)).newest).toMatchObject({ revision: 2, step: 60 });
    const said: string[] = [];
    const pulled = await pullCheckpoint(store, 'rev/pretrain', join(folder, 'pulled'), {
      log: (line) => said.push(line),
    });
    expect(pulled).toMatchObject({ revision: 2, step: 60, sha256: ended.sha256 });
    expect(said[0]).toMatch(/^fetching rev\/pretrain@60 \(revision 2\) of \S+, what phase pretrain ended with, into /);
    expect((await lines(listRuns(store, run)))[0]).toMatch(/^rev\/pretrain@60 \(revision 2\) .* end of the phase$/);
    expect(await checkpointFor(store, { what: 'phase next goes on from', from: phase })).toEqual(ended);
    // An attempt that comes back late to what was given up does not move the hint.
    await train(await withRate(plan, 0.004), 50, 3);
    expect(await hint()).toMatchObject({ revision: 2, step: 60 });
  });

  it('falls back to its own revision when the end is damaged, and ends again in its place', async () => {
    const commit = await readCommit(store, ended);
    const said: string[] = [];
    rot(server, commitKey(commit), 'zeros, as after a power loss');
    const pulled = await pullCheckpoint(store, 'rev/pretrain', join(folder, 'again'), {
      log: (line) => said.push(line),
    });
    expect(pulled).toMatchObject({ revision: 2, step: 50 });
    expect(said.join('\n')).toContain('falling back to an older one');
    const again = await begin(plan);
    expect(again).toMatchObject({ revision: 4, from: { revision: 2, step: 50 } });
    const anew = await train(plan, 60, 4, again.from);
    expect(anew.sha256).toBe(ended.sha256);
    await sweep(on.deps(store), { run, plan, ended: anew }, on.attempt());
    expect(await readEnd(store, phase)).toEqual(anew);
    expect(await begin(plan)).toMatchObject({ revision: 4, from: null });
  });

  it('goes back past damage to what is its own before what was given up', async () => {
    const recovered = await recoverCheckpoint(
      on.deps(store),
      { plan, parent: null, revision: 4, belowStep: 60 },
      on.attempt(),
    );
    // r3@50 is newer, and was made with another rate.
    expect(recovered).toMatchObject({ revision: 2, step: 50 });
  });

  it('forgets the end with its checkpoint', async () => {
    await lines(remove(store, 'rev/pretrain@60', { run, phase: 'pretrain', step: 60 }, true));
    expect(await readEnd(store, phase)).toBeNull();
  });
});

describe('a phase', () => {
  it('of another start of the earlier phase begins anew above, and other data under the same name are refused as ever', async () => {
    const plan = await withRate(await planOf(store, 'other'), 0.001);
    await train(plan, 20);
    // Which batches are left out is no other run.
    expect(await begin(plan, 0, [3])).toMatchObject({
      revision: 1,
      from: null,
      notes: [
        expect.stringContaining(
          'other/pretrain@20 was trained from another start, or with other batches left out; revision 1 begins anew at step 0',
        ),
      ],
    });
    const data = { ...plan, dataFingerprint: 'e'.repeat(64) };
    expect(await begin(data)).toEqual({ revision: 0, from: null, notes: [] });
    await expect(train(data, 30)).rejects.toMatchObject({ code: 'TwoRunsUnderOneName' });
  });
});
