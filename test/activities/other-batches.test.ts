import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plan } from '../../activities/plan.ts';
import { replan } from '../../activities/replan.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { ReplanInput } from '../../activities/types/shard.ts';
import { listCommits } from '../../src/checkpoint/commits.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';
import { type Hands, hands } from './fixture.ts';

const smoke = () => JSON.parse(readFileSync(new URL('../../infra/recipes/smoke.json', import.meta.url), 'utf8'));
let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let phase: PhasePlan;
let half: CheckpointRef;
const trainers: TrainerProcess[] = [];

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  await drawnEmoji(store, { concepts: 12 });
  const env = { ...process.env, ...server.environment };
  for (const i of [0, 1]) {
    const lockFile = join(on.folder, `real-${i}.lock`);
    trainers.push(createTrainerProcess({ lockFile, log: { info() {}, warn() {} }, env }));
  }
  phase = (await plan(on.deps(store), { run: 'changed', recipe: smoke() }, on.attempt())).phases[0]!;
  half = await train(0, phase, 0, null, 21);
});
afterAll(async () => {
  for (const trainer of trainers) await trainer.close();
  await on.close();
  await server.stop();
});

async function train(by: 0 | 1, plan: PhasePlan, revision: number, from: CheckpointRef | null, toStep: number) {
  const deps = on.deps(store, { trainer: trainers[by]! });
  return (await trainShard(deps, { plan, revision, parent: null, from, toStep }, on.attempt())).checkpoint;
}
const again = (overrides: ReplanInput['overrides'], skip: number[] = []) => {
  const at = { step: half.step, examples: half.examples };
  return replan(on.deps(store), { plan: phase, overrides, at, skip }, on.attempt());
};
const settingsOf = async (of: PhasePlan) => JSON.parse((await store.get(of.settings.key)).toString()) as PhaseSettings;

describe('a phase that is shorter than what its checkpoints are measured by', () => {
  it('has one, at its end, with the bytes that it has with many', async () => {
    const { checkpoint: _, ...recipe } = smoke();
    const auto = (await plan(on.deps(store), { run: 'auto', recipe }, on.attempt())).phases[0]!;
    expect(auto).toMatchObject({ checkpointEvery: 'auto', shardSteps: 'auto' });
    const end = await train(0, auto, 0, null, 60);
    expect((await listCommits(store, auto, 0)).map(({ step }) => step)).toEqual([60]);
    expect(end.sha256).toBe((await train(0, phase, 9, half, 60)).sha256);
  }, 60_000);
});

describe('a phase that is tried again', () => {
  it('with another batch trains what is left of its examples in such batches, the same again after a kill', async () => {
    const { skip, ...other } = await again({ batch: 48 }, [4]);
    // 39 batches of 32 are left, 1248 examples: 26 of 48.
    expect(other).toMatchObject({ batch: 48, begins: { step: 21, examples: 672 }, from: { step: 0, examples: 0 } });
    expect([other.to, skip]).toEqual([{ step: 47, examples: 1920 }, []]);
    // The batch that was left out took one more of the order.
    const settings = await settingsOf(other);
    expect(settings.batches).toMatchObject({ batch: 48, offset: 22 * 32 });
    expect(settings.schedule).toEqual((await settingsOf(phase)).schedule);
    const end = await train(0, other, 1, half, 47);
    expect(end).toMatchObject({ step: 47, examples: 1920, revision: 1 });
    const [first] = await listCommits(store, phase, 1);
    expect((await readManifest(store, first!)).manifest.parent).toMatchObject({ step: 21, revision: 0 });
    // Another process, cut elsewhere.
    const twin = await train(1, other, 2, half, 30);
    expect((await train(1, other, 2, twin, 47)).sha256).toBe(end.sha256);
    // As many steps with the old batch are something else.
    expect((await train(1, phase, 3, half, 47)).sha256).not.toBe(end.sha256);
  }, 120_000);

  it('with other data trains on those from there on, and keeps its steps and branches', async () => {
    for await (const { key } of store.list('data/emoji/train/')) {
      await store.copy(key, key.replace('emoji/train', 'again/train'));
      break;
    }
    const other = await again({ data: ['data/emoji/train', 'data/again/train'] }, [30]);
    expect(other).toMatchObject({ to: phase.to, batch: 32, skip: [] });
    expect(other.dataFingerprint).not.toBe(phase.dataFingerprint);
    expect((await settingsOf(other)).batches.data.train).toEqual(['data/emoji/train', 'data/again/train']);
    const index = JSON.parse((await store.get(other.index.key)).toString());
    expect(index.examples).toBe(120);
    const end = await train(0, other, 4, half, 26);
    expect(end.sha256).not.toBe((await train(0, phase, 3, half, 26)).sha256);
    expect((await readManifest(store, end)).manifest.dataFingerprint).toBe(other.dataFingerprint);
  }, 60_000);

  it('says in a sentence what it can not be tried again with', async () => {
    const refused = (overrides: ReplanInput['overrides']) =>
      again(overrides).then(
        () => 'granted',
        (error: Error) => error.message,
      );
    await store.copy('data/emoji/dataset.json', 'data/nowhere/dataset.json');
    expect(await refused({ data: 'data/emoji/held-out' })).toBe(
      'data is "data/emoji/held-out", which is evaluated on (data.evaluation "data/emoji/held-out")',
    );
    expect(await refused({ data: 'data/nowhere' })).toMatch(/^data: no .tar shards below data\/nowhere\//);
    expect(await refused({ batch: 2048 })).toBe('phase pretrain has 1248 examples left, less than a batch of 2048');
    expect(await refused({ batch: 50, accumulate: 4 })).toBe('accumulate is 4; a divisor of the batch 50 is allowed');
    await drawnEmoji(store, { concepts: 24, prefix: 'data/more' });
    expect(await refused({ data: 'data/more/train' })).toMatch(
      /^[1-9]\d* tokens of the data are not among the \d+ of the compacted table that phase pretrain began with; start a run/,
    );
  });
});
