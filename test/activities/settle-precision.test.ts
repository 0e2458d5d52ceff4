import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { precisionQuestion, recordedChoice } from '../../activities/measured-choice.ts';
import { replan } from '../../activities/replan.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { precisionKey } from '../../src/checkpoint/keys.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import { findUnreferenced, sweepRun } from '../../src/checkpoint/sweep.ts';
import { cpuFacts } from '../../src/runtime/cpu.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { type Hands, hands, planOf, shard } from './fixture.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
/** What a phase of 30 steps ends with in each. */
let bytes: { f32: string; bf16: string };

beforeAll(async () => {
  server = await startServer();
  store = server.store({ attempts: 1 });
  on = hands();
  const end = async (precision: 'f32' | 'bf16') =>
    (await trainShard(on.deps(store), shard(await planOf(store, `said-${precision}`, { precision }), 30), on.attempt()))
      .checkpoint.sha256;
  bytes = { f32: await end('f32'), bf16: await end('bf16') };
  await on.close();
});
afterAll(() => server.stop());
beforeEach(() => {
  on = hands();
});
afterEach(() => on.close());

let count = 0;
/** Of a recipe with "precision": "auto". */
const newPlan = () => planOf(store, `precision-${++count}`, { precision: undefined });
const measured = () => {
  const file = join(on.folder, 'measured');
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
};
const faster = { f32: 20, bf16: 10 };
const slower = { f32: 10, bf16: 20 };

async function train(plan: PhasePlan, ms: object, toStep = 30, fault: object = {}) {
  const trainer = on.trainer({ ms, measured: join(on.folder, 'measured'), ...fault });
  return trainShard(on.deps(store, { trainer }), shard(plan, toStep), on.attempt());
}

describe('the precision of a phase whose recipe leaves it to measurement', () => {
  it('is what is faster on this CPU, with the threads of the phase, and stands in the record, the manifest and the answer', async () => {
    const plan = await newPlan();
    const { checkpoint, precision, xla } = await train(plan, faster);
    expect([checkpoint.sha256, precision, xla]).toEqual([bytes.bf16, 'bf16', 'off']);
    expect(bytes.bf16).not.toBe(bytes.f32);
    expect(measured()).toEqual(['f32', 'bf16']);
    const hash = sha256(`bf16, ${cpuFacts().threads} threads`);
    expect(await recordedChoice(store, plan, precisionQuestion)).toEqual({ chosen: 'bf16', ms: faster, hash });
    expect((await readManifest(store, checkpoint)).manifest).toMatchObject({ precision: 'bf16', xla: 'off' });
  });

  it('is f32 where bf16 is slower, as on a CPU without it, or no faster', async () => {
    for (const ms of [slower, { f32: 10, bf16: 9.9 }])
      expect((await train(await newPlan(), ms)).checkpoint.sha256).toBe(bytes.f32);
  });

  it('stays what it was when the next attempt would choose otherwise', async () => {
    const plan = await newPlan();
    await train(plan, faster, 10);
    expect((await train(plan, slower)).checkpoint.sha256).toBe(bytes.bf16);
    expect(measured()).toEqual(['f32', 'bf16']);
  });

  it('is read off the checkpoints where its record is gone, and not guessed where it can not be read', async () => {
    const plan = await newPlan();
    const { checkpoint } = await train(plan, faster, 10);
    await store.delete(precisionKey(plan, plan.settings.sha256));
    expect((await train(plan, slower)).checkpoint.sha256).toBe(bytes.bf16);
    await store.put(precisionKey(plan, plan.settings.sha256), '{"precision": "perhaps"}');
    await expect(train(plan, slower, 40)).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringMatching(/in which precision this phase began.*retryPhase with precision f32 or bf16/),
    });
    expect(checkpoint.step).toBe(10);
    expect(measured()).toEqual(['f32', 'bf16']);
  });

  it('is chosen before XLA on a GPU', async () => {
    await train(await newPlan(), faster, 10, { device: 'gpu' });
    expect(measured()).toEqual(['f32', 'bf16', 'bf16', 'bf16']);
  });

  it('can be said when a phase is tried again, and left to measurement again', async () => {
    const plan = await newPlan();
    const again = async (of: PhasePlan, precision: 'f32' | 'auto') =>
      replan(on.deps(store), { plan: of, overrides: { precision } }, on.attempt());
    const said = await again(plan, 'f32');
    expect(said.changes).toEqual([{ what: 'precision', from: 'auto', to: 'f32' }]);
    expect(said.settings.sha256).toBe((await planOf(store, 'any')).settings.sha256);
    expect((await again(said, 'auto')).settings.sha256).toBe(plan.settings.sha256);
  });

  it('is neither swept nor without a reference', async () => {
    const plan = await newPlan();
    await train(plan, faster);
    await sweepRun(store, plan.run, { graceMs: 0 });
    expect(await store.head(precisionKey(plan, plan.settings.sha256))).not.toBeNull();
    expect(await findUnreferenced(store, plan.run)).toEqual([]);
  });
});
