import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { onDevice } from '../../activities/device-time.ts';
import { pruneCheckpoints, sweep } from '../../activities/prune-checkpoints.ts';
import { recoverCheckpoint } from '../../activities/recover-checkpoint.ts';
import { replan } from '../../activities/replan.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { ShardHeartbeat } from '../../activities/types/shard.ts';
import type { Metered } from '../../activities/use-meter.ts';
import { findCommits, listCommits, readCommit } from '../../src/checkpoint/commits.ts';
import { commitKey } from '../../src/checkpoint/keys.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import { pinsOf } from '../../src/checkpoint/pins.ts';
import { findUnreferenced } from '../../src/checkpoint/sweep.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { costOf, deviceMsIn, type Used } from '../../src/costs/used.ts';
import { schedulePosition } from '../../src/recipe/schedule.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { rot } from '../storage/rot.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { tinySettings } from '../train/settings.ts';
import { type Hands, hands, planOf, shard } from './fixture.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
/** What an undisturbed run ends with, at 30 and at 60. */
let expected: { 30: string; 60: string };

beforeAll(async () => {
  server = await startServer();
  store = server.store({ attempts: 1 });
  on = hands();
  const plan = await planOf(store, 'undisturbed');
  const deps = on.deps(store);
  const first = await trainShard(deps, shard(plan, 30), on.attempt());
  const second = await trainShard(deps, shard(plan, 60, first.checkpoint), on.attempt());
  expected = { 30: first.checkpoint.sha256, 60: second.checkpoint.sha256 };
  await on.close();
});
afterAll(() => server.stop());
beforeEach(() => {
  on = hands();
});
afterEach(() => on.close());

const steps = async (run: string, revision = 0) =>
  (await listCommits(store, { run, phase: 'pretrain' }, revision)).map(({ step }) => step);
/** Under load a checkpoint may be left out, since the newest snapshot goes first; never one twice, and never the last. */
const expectSteps = async (run: string, last: number) => {
  const committed = await steps(run);
  expect(committed).toEqual([...new Set(committed)].sort((a, b) => a - b));
  expect(committed.filter((step) => step % 10 !== 0)).toEqual([]);
  expect(committed.at(-1)).toBe(last);
};
const runs = (() => {
  let count = 0;
  return () => `run-${++count}`;
})();

describe('a shard', () => {
  it('commits every tenth step, each from the one before, and leaves nothing on the disk', async () => {
    const run = runs();
    const plan = await planOf(store, run);
    const attempt = on.attempt();
    const result = await trainShard(on.deps(store, { trainer: on.trainer({ stepMs: 50 }) }), shard(plan, 30), attempt);
    expect(result.checkpoint).toMatchObject({ run, step: 30, examples: 180, sha256: expected[30] });
    const commits = await listCommits(store, { run, phase: 'pretrain' }, 0);
    await expectSteps(run, 30);
    const manifests = await Promise.all(commits.map((commit) => readManifest(store, commit)));
    const parents = manifests.map(({ manifest }) => manifest.parent?.step ?? null);
    expect(parents).toEqual([null, ...commits.slice(0, -1).map(({ step }) => step)]);
    expect(manifests.at(-1)!.manifest.sidecars.map(({ path }) => path)).toContain('config.json');
    expect(readdirSync(join(on.folder, 'scratch', run, 'pretrain'))).toEqual([]);
    expect(JSON.parse((await store.get(`runs/${run}/pretrain/latest.json`)).toString())).toMatchObject({ step: 30 });
    expect(attempt.beats.length).toBeGreaterThanOrEqual(1);
  });

  it('goes on at the newest commit of an attempt that died, and ends with the same bytes', async () => {
    const plan = await planOf(store, runs());
    const crashing = { crash: { step: 25 }, stepMs: 5 };
    await expect(
      trainShard(on.deps(store, { trainer: on.trainer(crashing) }), shard(plan, 30), on.attempt()),
    ).rejects.toMatchObject({ code: 'TrainerCrashed', details: { final: true } });
    expect([10, 20]).toEqual(expect.arrayContaining(await steps(plan.run)));
    const last = await trainShard(on.deps(store), shard(plan, 30), on.attempt());
    expect(last.checkpoint.sha256).toBe(expected[30]);
    await expectSteps(plan.run, 30);
  });

  it('starts its trainer again after a crash, by itself', async () => {
    const plan = await planOf(store, runs());
    const trainer = on.trainer({ crash: { step: 25, once: join(on.folder, 'crashed') }, stepMs: 5 });
    const last = await trainShard(on.deps(store, { trainer }), shard(plan, 30), on.attempt());
    expect(last.checkpoint.sha256).toBe(expected[30]);
  });

  it.each(['objects', 'manifest', 'commit', 'hint'] as const)(
    'that dies after the %s of its second commit is made again to the same bytes',
    async (point) => {
      const plan = await planOf(store, runs());
      let passed = 0;
      const onPoint = (at: string) => {
        if (at === point && ++passed === 2) throw new Error('died');
      };
      const trainer = on.trainer({ stepMs: 10 });
      await expect(trainShard(on.deps(store, { onPoint, trainer }), shard(plan, 30), on.attempt())).rejects.toThrow(
        'died',
      );
      const last = await trainShard(on.deps(store, { trainer }), shard(plan, 30), on.attempt());
      expect(last.checkpoint.sha256).toBe(expected[30]);
      await expectSteps(plan.run, 30);
    },
  );

  it('that was done before is not done again', async () => {
    const plan = await planOf(store, runs());
    const first = await trainShard(on.deps(store), shard(plan, 30), on.attempt());
    const broken = on.trainer({ broken: true });
    const again = await trainShard(on.deps(store, { trainer: broken }), shard(plan, 30), on.attempt());
    expect(again).toEqual(first);
  });

  it('that is raced by another attempt ends with one commit a step, whoever wins', async () => {
    const plan = await planOf(store, runs());
    const attempts = [1, 2, 3].map((n) => {
      const deps = on.deps(store, { scratch: join(on.folder, `scratch-${n}`), trainer: on.trainer({ stepMs: 8 + n }) });
      return trainShard(deps, shard(plan, 60), on.attempt());
    });
    const results = await Promise.all(attempts);
    for (const { checkpoint } of results) expect(checkpoint).toEqual(results[0]!.checkpoint);
    expect(results[0]!.checkpoint.sha256).toBe(expected[60]);
    await expectSteps(plan.run, 60);
  });

  it('leaves out checkpoints on a link that is slower than the training, and never the last', async () => {
    const plan = await planOf(store, runs());
    const onPoint = (at: string) => (at === 'objects' ? new Promise<void>((done) => setTimeout(done, 300)) : undefined);
    const last = await trainShard(on.deps(store, { onPoint }), shard(plan, 60), on.attempt());
    expect(last.checkpoint.sha256).toBe(expected[60]);
    expect(await steps(plan.run)).toEqual([10, 60]);
  });

  it('counts what it commits, and what an attempt before it had made and not committed', async () => {
    const plan = await planOf(store, runs());
    const counts: Record<string, number> = {};
    const count = (_: object, counter: string, by: number) => {
      counts[counter] = (counts[counter] ?? 0) + by;
    };
    const first = await trainShard(on.deps(store), shard(plan, 10), { ...on.attempt(), count });
    expect(counts).toEqual({ retries: 0, lost_steps: 0, commits: 1, commit_seconds: expect.any(Number) });
    expect(counts.commit_seconds).toBeGreaterThan(0);
    const again = { ...on.attempt(), number: 2, earlier: { step: 17, loss: 1 }, count };
    await trainShard(on.deps(store), shard(plan, 20, first.checkpoint), again);
    expect(counts).toMatchObject({ retries: 1, lost_steps: 7, commits: 2 });
  });

  it('trains on while the store is away, and commits when it is back', async () => {
    const plan = await planOf(store, runs());
    let trains = () => {};
    const training = new Promise<void>((resolve) => {
      trains = resolve;
    });
    const attempt = { ...on.attempt(), gauge: () => trains() };
    const deps = on.deps(store, { trainer: on.trainer({ stepMs: 20 }) });
    const first = await trainShard(deps, shard(plan, 10), on.attempt());
    const outage = trainShard(deps, shard(plan, 30, first.checkpoint), attempt);
    await training;
    await server.kill();
    await vi.waitFor(() => expect(attempt.beats.at(-1)!.doing).toMatch(/waits for the store: .*127.0.0.1/), {
      timeout: 20_000,
    });
    await server.restart();
    expect((await outage).checkpoint.sha256).toBe(expected[30]);
  });

  it('that is cancelled ends with a checkpoint of the step that it was at', async () => {
    const plan = await planOf(store, runs());
    const stop = new AbortController();
    const deps = on.deps(store, { trainer: on.trainer({ stepMs: 20 }) });
    const attempt = { ...on.attempt({ signal: stop.signal }), gauge: () => stop.abort() };
    const stopped = await trainShard(deps, shard(plan, 60), attempt);
    expect(stopped.checkpoint.step).toBeLessThan(60);
    expect((await steps(plan.run)).at(-1)).toBe(stopped.checkpoint.step);
    const last = await trainShard(on.deps(store), shard(plan, 60, stopped.checkpoint), on.attempt());
    expect(last.checkpoint.sha256).toBe(expected[60]);
  });

  it('that is paused by hand ends with a checkpoint and no answer, and goes on there when it is unpaused', async () => {
    const plan = await planOf(store, runs());
    const pause = new AbortController();
    const attempt = { ...on.attempt({ signal: pause.signal }), paused: () => true, gauge: () => pause.abort() };
    const held = trainShard(on.deps(store, { trainer: on.trainer({ stepMs: 30 }) }), shard(plan, 30), attempt);
    await expect(held).rejects.toThrow(/^paused with the checkpoint of step \d+$/);
    const at = (await steps(plan.run)).at(-1)!;
    expect(at).toBeGreaterThan(0);
    expect(at).toBeLessThan(30);
    const { checkpoint } = await trainShard(on.deps(store), shard(plan, 30), on.attempt());
    expect(checkpoint.sha256).toBe(expected[30]);
  });

  it('ends at once when its snapshots can not be kept', async () => {
    const plan = await planOf(store, runs());
    const onPoint = () => {
      throw new RunnerError('CredentialsRefused', 'the key was withdrawn');
    };
    const attempt = on.attempt();
    const deps = on.deps(store, { onPoint, trainer: on.trainer({ stepMs: 20 }) });
    await expect(trainShard(deps, shard({ ...plan, to: { step: 6000, examples: 1 } }, 6000), attempt)).rejects.toThrow(
      'the key was withdrawn',
    );
    expect(await steps(plan.run)).toEqual([]);
  });

  it('refuses to go on from a checkpoint of other settings', async () => {
    const run = runs();
    await trainShard(on.deps(store), shard(await planOf(store, run), 30), on.attempt());
    const other = await planOf(store, run, { seed: 12 });
    await expect(trainShard(on.deps(store), shard(other, 60), on.attempt())).rejects.toMatchObject({
      code: 'TwoRunsUnderOneName',
      message: expect.stringContaining('other data or settings'),
    });
  });

  it('gives up after three crashes at one step, in a sentence, and not before', async () => {
    const plan = await planOf(store, runs());
    mkdirSync(join(on.folder, 'scratch'), { recursive: true });
    const deps = on.deps(store, { trainer: on.trainer({ crash: { step: 5 } }) });
    await expect(trainShard(deps, shard(plan, 30), on.attempt())).rejects.toThrow(
      /^3 times in a row without a checkpoint in between, at step 4: the trainer process ended by SIGKILL/,
    );
  });
});

describe('the device time of a shard', () => {
  const timed = onDevice(trainShard, 'preparing');

  it('counts on over attempts that died, and is told with what failed', async () => {
    const plan = await planOf(store, runs());
    // Longer than from one beat to the next, also where everything is loaded already.
    const trainer = on.trainer({ crash: { step: 25 }, stepMs: 100 });
    const first = on.attempt();
    const began = performance.now();
    const failed = await timed(on.deps(store, { trainer }), shard(plan, 30), first).catch((error) => error);
    const took = performance.now() - began;
    expect(failed).toMatchObject({ code: 'TrainerCrashed', details: { final: true, deviceMs: expect.any(Number) } });
    expect(failed.details.deviceMs).toBeGreaterThan(25 * 100);
    expect(failed.details.deviceMs).toBeLessThanOrEqual(took + 1);
    expect(first.beats[0]!.deviceMs).toBeLessThan(first.beats.at(-1)!.deviceMs!);
    // Killed, it would have told no more than its last beat.
    const next = { ...on.attempt(), earlier: { ...first.beats.at(-1), deviceMs: 1_000_000 } };
    const { deviceMs, checkpoint } = await timed(on.deps(store), shard(plan, 30), next);
    expect(checkpoint.sha256).toBe(expected[30]);
    expect(deviceMs! - 1_000_000).toBeGreaterThan(0);
    expect(deviceMs! - 1_000_000).toBeLessThan(60_000);
  });

  it('ends it with a checkpoint when it is used up, also where attempts before used it', async () => {
    const plan = await planOf(store, runs());
    const trainer = on.trainer({ stepMs: 50 });
    const input = { ...shard(plan, 60), deviceMs: 1000 };
    const { checkpoint, deviceMs } = await timed(on.deps(store, { trainer }), input, on.attempt());
    expect(checkpoint.step).toBeGreaterThan(0);
    expect(checkpoint.step).toBeLessThan(60);
    expect(deviceMs).toBeGreaterThanOrEqual(1000);
    const again = { ...on.attempt(), earlier: { deviceMs: 5000 } };
    const { checkpoint: same } = await timed(on.deps(store, { trainer }), input, again);
    expect(same.step).toBeLessThan(checkpoint.step + 40);
    const rest = await timed(on.deps(store), shard(plan, 60, same), on.attempt());
    expect(rest.checkpoint.sha256).toBe(expected[60]);
  });

  it('is counted by what it was for, with what the store was asked, at the price of each worker, kills too', async () => {
    const plan = await planOf(store, runs());
    const prices = { currency: 'USD', hour: 3600, egress: 1, writes: 1, reads: 1, storage: null };
    const trainer = on.trainer({ crash: { step: 25 }, stepMs: 60 });
    const first = on.attempt();
    const failed = await timed(on.deps(store, { trainer, prices }), shard(plan, 30), first).catch((error) => error);
    const { used, deviceMs } = failed.details as { used: Used; deviceMs: number };
    expect(Math.abs(deviceMsIn(used) - deviceMs)).toBeLessThan(20);
    // Thrice from step 20 to 24, which no checkpoint holds.
    expect(used.ms.trained).toBeGreaterThan(15 * 60);
    expect(used.ms.repeated).toBeGreaterThan(3 * 3 * 60);
    expect(used.store.writes).toBeGreaterThan(2 * 4);
    expect(used.store.writtenBytes).toBeGreaterThan(0);
    const time = Object.values(used.ms).reduce((sum, ms = 0) => sum + ms / 1000, 0);
    const asked = (used.store.reads + used.store.writes) / 1000 + used.store.readBytes / 1e9;
    expect(costOf(used)).toBeCloseTo(time + asked, 6);
    // Killed, it would have told no more than its last beat; a worker that costs ten times as much goes on.
    const beat = first.beats.at(-1)! as Metered & ShardHeartbeat;
    const next = { ...on.attempt(), earlier: JSON.parse(JSON.stringify(beat)) };
    const dear = { ...prices, hour: 36_000 };
    const rest = await timed(on.deps(store, { prices: dear }), shard(plan, 30), next);
    expect(rest.checkpoint.sha256).toBe(expected[30]);
    expect(deviceMsIn(rest.used!)).toBeGreaterThan(deviceMsIn(beat.used));
    const own = deviceMsIn(rest.used!) - deviceMsIn(beat.used);
    const store1 = (of: Used) => (of.store.reads + of.store.writes) / 1000 + of.store.readBytes / 1e9;
    const paid = costOf(rest.used!) - costOf(beat.used) - (store1(rest.used!) - store1(beat.used));
    expect(paid).toBeCloseTo((own / 1000) * 10, 6);
  });

  it('ends with a checkpoint before it has cost what it may, and is refused by a worker that knows no price', async () => {
    const plan = await planOf(store, runs());
    const prices = { currency: null, hour: 3600, egress: null, writes: null, reads: null, storage: null };
    const trainer = on.trainer({ stepMs: 100 });
    const input = { ...shard(plan, 60), cost: 5 };
    const { checkpoint, used } = await timed(on.deps(store, { trainer, prices }), input, on.attempt());
    expect(checkpoint.step).toBeGreaterThan(10);
    expect(checkpoint.step).toBeLessThan(60);
    expect(costOf(used!)).toBeLessThanOrEqual(5);
    // What is left would not have paid for another one.
    expect(costOf(used!) + used!.reserve!).toBeGreaterThanOrEqual(5);
    expect(used!.ms.repeated ?? 0).toBe(0);
    await expect(timed(on.deps(store), input, on.attempt())).rejects.toThrow(
      'the phase has a limit of cost, and this worker knows no price of an hour of its device; set SIGLIP2_PRICE',
    );
    // Less than a beginning costs: it is left before anything is trained, and has not cost more.
    const little = await timed(on.deps(store, { prices }), { ...shard(plan, 60), cost: 0.001 }, on.attempt());
    expect(little.checkpoint.step).toBe(checkpoint.step);
    // Without a checkpoint to end with it is left without, and says what it has cost and what one would.
    const other = await planOf(store, runs());
    const poor = timed(on.deps(store, { trainer, prices }), { ...shard(other, 60), cost: 0.001 }, on.attempt());
    const { code, details } = await poor.catch((error) => error);
    expect(code).toBe('LimitReached');
    expect(details.used.reserve).toBeGreaterThan(1);
    expect(costOf(details.used)).toBeLessThan(2);
  });

  it('and its figures are its own: a fresh phase shows none of the phase before', async () => {
    const plan = await planOf(store, runs());
    const { checkpoint: parent } = await trainShard(on.deps(store), shard(plan, 30), on.attempt());
    const at = (step: number) => ({ step, examples: step * plan.batch });
    const later = { ...plan, phase: 'later', from: at(30), to: at(60), origin: { phase: 'pretrain' } };
    const attempt = on.attempt();
    const trainer = on.trainer({ stepMs: 40 });
    await trainShard(on.deps(store, { trainer }), { ...shard(later, 60), parent }, attempt);
    const atStart = attempt.beats.filter(({ step }) => step === 30);
    for (const { loss, examplesPerSecond } of atStart) expect([loss, examplesPerSecond]).toEqual([0, 0]);
    expect(attempt.beats.some(({ step, loss }) => step > 30 && loss > 0)).toBe(true);
  });
});

describe('retention', () => {
  it('leaves the newest two and the branch point, from which a run of the same name goes on without training', async () => {
    const plan = { ...(await planOf(store, runs())), branches: [20], keep: 2 };
    let from: CheckpointRef | null = null;
    // The last two are ends of shards: a snapshot within one may be overtaken by the next.
    for (const step of [20, 30, 50, 60]) {
      from = (await trainShard(on.deps(store), { ...shard(plan, step), from }, on.attempt())).checkpoint;
      await pruneCheckpoints(on.deps(store), { plan, from }, on.attempt());
    }
    expect((await findCommits(store, plan)).map(({ step }) => step)).toEqual([20, 50, 60]);
    const broken = on.trainer({ broken: true });
    const again = (toStep: number, start: CheckpointRef | null) =>
      trainShard(on.deps(store, { trainer: broken }), { ...shard(plan, toStep), from: start }, on.attempt());
    // Not past the branch point, which others wait for; from there to what is left.
    const first = (await again(10, null)).checkpoint;
    expect(first.step).toBe(20);
    expect((await again(30, first)).checkpoint).toEqual(from);
  });

  it('writes the figures of a checkpoint beside it, and again where they were lost with whoever committed it', async () => {
    const plan = await planOf(store, runs());
    const { checkpoint } = await trainShard(on.deps(store), shard(plan, 30), on.attempt());
    const key = `${checkpoint.prefix}metrics.json`;
    const bytes = (await store.get(key)).toString('utf8');
    const { step, sha256 } = checkpoint;
    const commit = await readCommit(store, checkpoint);
    expect(JSON.parse(bytes)).toMatchObject({ version: 1, step, sha256, metrics: commit.metrics, evaluations: [] });
    await store.purge(key);
    const broken = on.deps(store, { trainer: on.trainer({ broken: true }) });
    await trainShard(broken, shard(plan, 30), on.attempt());
    expect((await store.get(key)).toString('utf8')).toBe(bytes);
    expect(await findUnreferenced(store, plan.run)).toEqual([]);
  });

  it('leaves what tasks of the recipe are to look at, however long that waits to be planned', async () => {
    const documents = ['pets', 'cars'].map((name) => ({ name, document: { key: name, sha256: 'a'.repeat(64) } }));
    const plan = { ...(await planOf(store, runs())), keep: 1, tasks: { documents, every: 15 } };
    let from: CheckpointRef | null = null;
    for (const step of [10, 20, 30, 60]) {
      from = (await trainShard(on.deps(store), { ...shard(plan, step), from }, on.attempt())).checkpoint;
      await pruneCheckpoints(on.deps(store), { plan, from }, on.attempt());
    }
    // Behind 15 and at 30; the end is for the run, which holds it by end.json.
    const held = (await pinsOf(store, plan)).map(({ step, who }) => `${step} ${who}`).sort();
    expect(held).toEqual(['20 due-cars', '20 due-pets', '30 due-cars', '30 due-pets']);
    expect((await findCommits(store, plan)).map(({ step }) => step)).toEqual([20, 30, 60]);
  });

  it('ends with a sweep that leaves nothing without a reference', async () => {
    const plan = { ...(await planOf(store, runs())), keep: 2 };
    const { checkpoint } = await trainShard(on.deps(store), shard(plan, 30), on.attempt());
    const other = checkpoint.prefix.replace(/-[^-]+\/$/, '-zombie/');
    await store.put(`${other}model.safetensors`, 'half');
    expect(await findUnreferenced(store, plan.run)).toEqual([`${other}model.safetensors`]);
    expect(await sweep(on.deps(store), { run: plan.run, plan }, on.attempt())).toEqual({ prefixes: 1, uploads: 0 });
    expect(await findUnreferenced(store, plan.run)).toEqual([]);
  });
});

describe('damage', () => {
  it('of the newest checkpoint is found, and the run goes on from the one before under a new revision', async () => {
    const plan = await planOf(store, runs());
    const slow = on.deps(store, { trainer: on.trainer({ stepMs: 40 }) });
    const first = await trainShard(slow, shard(plan, 30), on.attempt());
    await store.put(`${first.checkpoint.prefix}training-optimizer.safetensors`, 'not what it was');
    const fresh = on.deps(store);
    const input = shard(plan, 60, first.checkpoint);
    await expect(trainShard(fresh, input, on.attempt())).rejects.toMatchObject({
      code: 'CheckpointDamaged',
      details: { step: 30 },
    });
    const from = await recoverCheckpoint(fresh, { plan, parent: null, revision: 0, belowStep: 30 }, on.attempt());
    expect(from).toMatchObject({ step: 20, revision: 0 });
    const last = await trainShard(slow, shard(plan, 60, from, 1), on.attempt());
    expect(last.checkpoint).toMatchObject({ sha256: expected[60], revision: 1 });
    expect(await steps(plan.run, 1)).toEqual([30, 40, 50, 60]);
  });

  it.each(['commit', 'manifest'] as const)(
    'of the newest %s on the disk of the store is found too, and costs no more than a damaged tensor',
    async (what) => {
      const plan = await planOf(store, runs());
      const slow = on.deps(store, { trainer: on.trainer({ stepMs: 40 }) });
      const first = await trainShard(slow, shard(plan, 30), on.attempt());
      const { revision, prefix } = first.checkpoint;
      const key = what === 'commit' ? commitKey({ ...plan, revision, step: 30 }) : `${prefix}manifest.json`;
      rot(server, key, 'no bytes, as after a power loss');
      await expect(trainShard(slow, shard(plan, 60, first.checkpoint), on.attempt())).rejects.toMatchObject({
        code: 'CheckpointDamaged',
        details: { step: 30 },
      });
      const from = await recoverCheckpoint(slow, { plan, parent: null, revision: 0, belowStep: 30 }, on.attempt());
      expect(from).toMatchObject({ step: 20, revision: 0 });
      const last = await trainShard(slow, shard(plan, 60, from, 1), on.attempt());
      expect(last.checkpoint).toMatchObject({ sha256: expected[60], revision: 1 });
    },
  );

  it('of everything leads back to the beginning', async () => {
    const plan = await planOf(store, runs());
    const deps = on.deps(store);
    await trainShard(deps, shard(plan, 10), on.attempt());
    const [commit] = await listCommits(store, plan, 0);
    await store.delete(`${commit!.prefix}model.safetensors`);
    expect(await recoverCheckpoint(deps, { plan, parent: null, revision: 0, belowStep: 11 }, on.attempt())).toBeNull();
  });
});

describe('a phase whose checkpoints are left to measurement', () => {
  it('ends its first shard where that found out, writes down what it found, and never measures again', async () => {
    const plan = { ...(await planOf(store, runs())), checkpointEvery: 'auto', shardSteps: 'auto' } as const;
    const first = await trainShard(
      on.deps(store, { trainer: on.trainer({ stepMs: 20 }) }),
      shard(plan, 60),
      on.attempt(),
    );
    const { step, sha256 } = first.checkpoint;
    expect([20, 40]).toContain(step);
    expect(first.pace).toEqual({ checkpointEvery: 10, shardSteps: 20 });
    // An attempt that knows of no result, as after the death of the worker that had it.
    const again = await trainShard(on.deps(store), shard(plan, 60), on.attempt());
    expect([again.checkpoint.sha256, again.pace]).toEqual([sha256, first.pace]);
    const next = await trainShard(
      on.deps(store),
      { ...shard(plan, 60, first.checkpoint), pace: first.pace! },
      on.attempt(),
    );
    expect([next.checkpoint.step, next.checkpoint.sha256]).toEqual([60, expected[60]]);
    // Other settings are measured anew.
    const other = await replan(on.deps(store), { plan, overrides: { precision: 'bf16' } }, on.attempt());
    const redone = await trainShard(on.deps(store), shard(other, 5, null, 1), on.attempt());
    expect(redone.pace).toBe(undefined);
  });
});

describe('a phase that is extended', () => {
  it('stands where it stood on the schedule, and comes to its end at the new last step', async () => {
    const plan = await planOf(store, runs());
    const at = { step: 30, examples: 30 * tinySettings.batches.batch };
    const longer = await replan(on.deps(store), { plan, overrides: {}, extend: { steps: 15, at } }, on.attempt());
    expect(longer.to).toEqual({ step: 75, examples: 75 * tinySettings.batches.batch });
    const { schedule } = JSON.parse((await store.get(longer.settings.key)).toString());
    const before = tinySettings.schedule;
    expect(schedulePosition(at.examples, schedule)).toBeCloseTo(schedulePosition(at.examples, before), 9);
    expect(schedulePosition(longer.to.examples, schedule)).toBeCloseTo(schedulePosition(plan.to.examples, before), 6);
  });
});

describe('a phase that is tried again with other settings', () => {
  it('goes on from its last checkpoint under a new revision, and falls back to older ones when that is damaged', async () => {
    const plan = await planOf(store, runs());
    const deps = on.deps(store);
    const { checkpoint: ten } = await trainShard(deps, shard(plan, 10), on.attempt());
    const { checkpoint: twenty } = await trainShard(deps, shard(plan, 20, ten), on.attempt());
    const overrides = { learningRate: 1e-5, shardSteps: 7, remat: 'blocks' as const };
    const other = await replan(deps, { plan, overrides }, on.attempt());
    expect(other).toMatchObject({ shardSteps: 7, checkpointEvery: plan.checkpointEvery });
    const settings = JSON.parse((await store.get(other.settings.key)).toString());
    expect(settings).toMatchObject({ remat: 'blocks', optimizer: { learningRate: 1e-5 } });
    expect(await replan(deps, { plan, overrides }, on.attempt())).toEqual(other);
    // Under the old revision its commits would be taken for another run's.
    await expect(trainShard(deps, shard(other, 30, twenty), on.attempt())).rejects.toMatchObject({
      code: 'TwoRunsUnderOneName',
    });
    const { checkpoint } = await trainShard(deps, shard(other, 30, twenty, 1), on.attempt());
    expect(checkpoint).toMatchObject({ step: 30, revision: 1 });
    const [first] = await listCommits(store, plan, 1);
    expect((await readManifest(store, first!)).manifest.parent).toMatchObject({ step: 20, revision: 0 });
    await store.delete(`${checkpoint.prefix}model.safetensors`);
    const input = { plan: other, parent: null, revision: 1, belowStep: 30 };
    expect(await recoverCheckpoint(deps, input, on.attempt())).toMatchObject({ step: 20, revision: 0 });
  });
});
