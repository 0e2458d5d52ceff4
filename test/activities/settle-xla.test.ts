import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { recordedChoice as recorded, xlaQuestion } from '../../activities/measured-choice.ts';
import { recordPace } from '../../activities/pace.ts';
import { replan } from '../../activities/replan.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { listCommits } from '../../src/checkpoint/commits.ts';
import { paceKey, xlaKey } from '../../src/checkpoint/keys.ts';
import { findUnreferenced, sweepRun } from '../../src/checkpoint/sweep.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { type Hands, hands, planOf, shard } from './fixture.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
/** What a phase of 30 steps ends with, with XLA and without. */
let bytes: { off: string; on: string };

beforeAll(async () => {
  server = await startServer();
  store = server.store({ attempts: 1 });
  on = hands();
  const end = async (xla: 'off' | 'on') =>
    (await trainShard(on.deps(store), shard(await planOf(store, `forced-${xla}`, { xla }), 30), on.attempt()))
      .checkpoint.sha256;
  bytes = { off: await end('off'), on: await end('on') };
  await on.close();
});
afterAll(() => server.stop());
beforeEach(() => {
  on = hands();
});
afterEach(() => on.close());

const recordedChoice = (store: S3ObjectStore, plan: PhasePlan) => recorded(store, plan, xlaQuestion);
let count = 0;
const newPlan = (change: object = {}) => planOf(store, `xla-${++count}`, change);

/** A trainer on a GPU. `ms` says what a step takes there. */
const gpu = (ms: object, fault: object = {}) =>
  on.trainer({ device: 'gpu', ms, measured: join(on.folder, 'measured'), ...fault });
/** What was measured so far, in order. */
const measured = () => {
  const file = join(on.folder, 'measured');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
};
const faster = { off: 20, on: 10 };
const slower = { off: 10, on: 20 };

async function train(plan: PhasePlan, ms: object, more: Parameters<Hands['deps']>[1] & { toStep?: number } = {}) {
  const { toStep = 30, ...changes } = more;
  const deps = on.deps(store, { trainer: gpu(ms), ...changes });
  return (await trainShard(deps, shard(plan, toStep), on.attempt())).checkpoint.sha256;
}

describe('whether XLA compiles the steps of a phase', () => {
  it('changes its bytes', () => {
    expect(bytes.on).not.toBe(bytes.off);
  });

  it('is measured on a GPU before the first step and written down with the hash of the program', async () => {
    const plan = await newPlan();
    expect(await train(plan, faster)).toBe(bytes.on);
    expect(measured()).toEqual(['off', 'on']);
    expect(await recordedChoice(store, plan)).toEqual({ chosen: 'on', ms: faster, hash: sha256('on') });
  });

  it('is off where that is as fast, since XLA starts slower', async () => {
    const plan = await newPlan();
    expect(await train(plan, { off: 10, on: 9.9 })).toBe(bytes.off);
    expect(await recordedChoice(store, plan)).toMatchObject({ chosen: 'off', hash: sha256('off') });
  });

  it('is never measured again: later attempts and shards read it, though they would choose otherwise', async () => {
    const plan = await newPlan();
    await train(plan, faster, { toStep: 10 });
    const crashing = gpu(slower, { crash: { step: 25 } });
    await expect(train(plan, slower, { trainer: crashing })).rejects.toMatchObject({ code: 'TrainerCrashed' });
    expect(await train(plan, slower)).toBe(bytes.on);
    expect(measured()).toEqual(['off', 'on']);
  });

  it('is off on a CPU, and measured nowhere when the recipe says it', async () => {
    const plan = await newPlan();
    const cpu = on.trainer({ ms: faster, measured: join(on.folder, 'measured') });
    expect(await train(plan, faster, { trainer: cpu })).toBe(bytes.off);
    for (const xla of ['off', 'on'] as const) expect(await train(await newPlan({ xla }), slower)).toBe(bytes[xla]);
    expect(measured()).toEqual([]);
    expect(await recordedChoice(store, plan)).toBeNull();
  });

  it('is measured again by the next attempt when one was killed before it was written: no step was made', async () => {
    const plan = await newPlan();
    const onPoint = (point: string) => {
      if (point === 'measured') throw new Error('killed');
    };
    await expect(train(plan, slower, { onPoint })).rejects.toThrow('killed');
    expect([await recordedChoice(store, plan), await listCommits(store, plan, 0)]).toEqual([null, []]);
    expect(await train(plan, faster)).toBe(bytes.on);
    expect(measured()).toEqual(['off', 'on', 'off', 'on']);
  });

  it('holds when the attempt was killed right after it was written', async () => {
    const plan = await newPlan();
    const onPoint = (point: string) => {
      if (point === 'chosen') throw new Error('killed');
    };
    await expect(train(plan, faster, { onPoint })).rejects.toThrow('killed');
    expect(await train(plan, slower)).toBe(bytes.on);
    expect(measured()).toEqual(['off', 'on']);
  });

  it('is one for two attempts at once whose measurements differ: what was written first', async () => {
    const plan = await newPlan();
    // Both have measured before either writes.
    let waiting = 0;
    let go = () => {};
    const both = new Promise<void>((resolve) => {
      go = resolve;
    });
    const onPoint = (point: string) => {
      if (point !== 'measured') return;
      if (++waiting === 2) go();
      return both;
    };
    const ends = await Promise.all(
      [faster, slower].map((ms, i) => train(plan, ms, { onPoint, scratch: join(on.folder, `scratch-${i}`) })),
    );
    const choice = (await recordedChoice(store, plan))!;
    expect(ends).toEqual([bytes[choice.chosen], bytes[choice.chosen]]);
    expect(measured()).toHaveLength(4);
  });

  it('is measured a second time where the trainer was lost, and decided against what is lost twice', async () => {
    const plan = await newPlan();
    expect(await train(plan, { off: 10, on: 'crash' })).toBe(bytes.off);
    expect(measured()).toEqual(['off', 'on', 'on']);
    expect(await recordedChoice(store, plan)).toMatchObject({
      chosen: 'off',
      ms: { off: 10, on: null },
      note: expect.stringContaining('SIGKILL'),
    });
  });

  it('is decided against what does not fit, and neither is a failure', async () => {
    const plan = await newPlan();
    expect(await train(plan, { off: 'out of memory', on: 10 })).toBe(bytes.on);
    expect(await recordedChoice(store, plan)).toMatchObject({ ms: { off: null, on: 10 }, note: 'out of memory' });
    const none = await newPlan();
    await expect(train(none, { off: 'no room', on: 'none either' })).rejects.toThrow('no room');
    expect(await recordedChoice(store, none)).toBeNull();
  });

  it('is said while it is measured, and left open by an attempt that is stopped meanwhile', async () => {
    const plan = await newPlan();
    const stop = new AbortController();
    const said: string[] = [];
    const heartbeat = (details: unknown) => {
      const { doing } = details as { doing: string };
      said.push(doing);
      if (/^measuring/.test(doing)) stop.abort();
    };
    const attempt = { ...on.attempt({ signal: stop.signal }), heartbeat };
    const deps = on.deps(store, { trainer: gpu({ off: null, on: 10 }) });
    await expect(trainShard(deps, shard(plan, 30), attempt)).rejects.toThrow('stopped before the first checkpoint');
    expect(said.at(-1)).toBe('measuring whether XLA is faster: a step without it');
    expect(await recordedChoice(store, plan)).toBeNull();
  });

  it('stays off in a phase that has commits and no choice, as of a CPU or of an older version', async () => {
    const plan = await newPlan();
    await train(plan, faster, { toStep: 10, trainer: on.trainer() });
    expect(await train(plan, faster)).toBe(bytes.off);
    expect(measured()).toEqual([]);
  });

  it('is not guessed when what was written can not be read', async () => {
    const plan = await newPlan();
    await train(plan, faster, { toStep: 10 });
    await store.put(xlaKey(plan, plan.settings.sha256), '{"xla": "perhaps"}');
    await expect(train(plan, faster)).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringMatching(/no longer says whether this phase began with XLA \(.*put it back/),
    });
  });

  it('is chosen anew for other settings, and can be said when a phase is tried again', async () => {
    const plan = await newPlan();
    const start = (await trainShard(on.deps(store, { trainer: gpu(faster) }), shard(plan, 10), on.attempt()))
      .checkpoint;
    const again = async (overrides: object) => {
      const other = { ...plan, ...(await replan(on.deps(store), { plan, overrides }, on.attempt())) };
      const settings = JSON.parse((await store.get(other.settings.key)).toString()) as PhaseSettings;
      return { other, xla: settings.xla };
    };
    const { other } = await again({ precision: 'bf16' });
    const go = (of: PhasePlan, from: CheckpointRef, revision: number) =>
      trainShard(on.deps(store, { trainer: gpu(slower) }), shard(of, 30, from, revision), on.attempt());
    await go(other, start, 1);
    expect(measured()).toEqual(['off', 'on', 'off', 'on']);
    expect((await recordedChoice(store, other))!.chosen).toBe('off');
    expect((await recordedChoice(store, plan))!.chosen).toBe('on');
    const forced = await again({ xla: 'off' });
    expect(forced.xla).toBe('off');
    await go(forced.other, start, 2);
    expect(measured()).toHaveLength(4);
    expect((await again({ xla: 'auto' })).other.settings.sha256).toBe(plan.settings.sha256);
  });

  it('is neither swept nor without a reference, and the pace of its checkpoints is not either', async () => {
    const plan = { ...(await newPlan()), checkpointEvery: 'auto' } as const;
    await recordPace(store, plan, { checkpointEvery: 10, shardSteps: 30 });
    await train(plan, faster);
    await sweepRun(store, plan.run, { graceMs: 0 });
    for (const key of [xlaKey, paceKey]) expect(await store.head(key(plan, plan.settings.sha256))).not.toBeNull();
    expect(await findUnreferenced(store, plan.run)).toEqual([]);
  });
});
