import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { plan } from '../../activities/plan.ts';
import { settleCpu } from '../../activities/settle-cpu.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { newestCommit } from '../../src/checkpoint/commits.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { cpuFacts } from '../../src/runtime/cpu.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { createTrainerProcess } from '../../src/trainer/process.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';
import { type Hands, hands } from './fixture.ts';

// Wide enough that TensorFlow splits its matmuls.
const size = { width: 96, depth: 1, mlp: 384, heads: 3 };
const small = { width: 16, depth: 1, mlp: 32, heads: 2 };
const recipe = {
  version: 1,
  model: { vision: { size, patch: 8, resolution: 32 }, text: { size: small, length: 8, vocabulary: 'compact' } },
  data: { train: 'data/emoji/train' },
  schedule: { total: { steps: 8 }, warmup: { steps: 2 } },
  phases: [{ name: 'pretrain', batch: 64 }],
  checkpoint: { every: { steps: 4 }, shard: { steps: 4 } },
};

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let workers = 0;

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  await drawnEmoji(store, { concepts: 16 });
});
afterAll(async () => {
  await on.close();
  await server.stop();
});
afterEach(() => void vi.unstubAllEnvs());

const planned = async (run: string) =>
  (await plan(on.deps(store), { run, recipe }, on.attempt())).phases[0] as PhasePlan;

/** Trains shards on a worker of its own, with so many CPUs as far as TensorFlow knows. */
async function trainOn(cpus: number, ...shards: readonly [PhasePlan, toStep: number, from: CheckpointRef | null][]) {
  vi.stubEnv('TF_NUM_INTRAOP_THREADS', String(cpus));
  // The kernels that a CPU without AVX-512 gets: those of oneDNN for others do not split sums.
  const env = { ...process.env, ...server.environment, TF_ENABLE_ONEDNN_OPTS: '0' };
  const lockFile = join(on.folder, `worker-${++workers}.lock`);
  const trainer = createTrainerProcess({ lockFile, log: { info() {}, warn() {} }, env });
  try {
    const results = [];
    for (const [plan, toStep, from] of shards) {
      const input = { plan, revision: 0, parent: null, from, toStep };
      results.push(await trainShard(on.deps(store, { trainer }), input, on.attempt()));
    }
    return results;
  } finally {
    await trainer.close();
  }
}

describe('the threads of a phase', { timeout: 120_000 }, () => {
  it('are those that it began with, on whatever machine it goes on, so that its bytes are', async () => {
    const moved = await planned('moved');
    const [two, half] = await trainOn(2, [await planned('two'), 8, null], [moved, 4, null]);
    expect(half!.remark).toBe(undefined);
    const [eight, whole] = await trainOn(8, [await planned('eight'), 8, null], [moved, 8, half!.checkpoint]);
    // Its bytes do depend on them.
    expect(eight!.checkpoint.sha256).not.toBe(two!.checkpoint.sha256);
    expect(whole!.checkpoint.sha256).toBe(two!.checkpoint.sha256);
    expect(whole!.remark).toBe(
      `the phase began with 2 threads and keeps to them, though this machine has 8 CPUs; whoever wants them rather than equal bytes deletes s3://${store.bucket}/runs/moved/pretrain/cpu.json`,
    );
    const { kind } = cpuFacts();
    expect(JSON.parse((await store.get('runs/moved/pretrain/cpu.json')).toString())).toEqual({
      ...{ version: 1, threads: 2, kind },
    });
    const commit = await newestCommit(store, moved, 0, { fromStep: 0, toStep: 8 });
    expect((await readManifest(store, commit!)).manifest.cpu).toEqual({ threads: 2, kind });

    // As a phase of an older version: what goes on with it decides, once.
    await store.delete('runs/moved/pretrain/cpu.json');
    const cpu = { device: async () => 'cpu' as const };
    expect(await settleCpu(store, moved, cpu, { threads: 5, kind })).toMatchObject({ threads: 5, remark: null });
    expect(await settleCpu(store, moved, cpu, { threads: 2, kind })).toMatchObject({ threads: 5, remark: null });
    // A GPU has none, and leaves none.
    const other = { run: 'two', phase: 'other' };
    expect(await settleCpu(store, other, { device: async () => 'gpu' })).toBeNull();
    expect(await store.head('runs/two/other/cpu.json')).toBeNull();
  });

  it('of two attempts that begin at once are those that were written first', async () => {
    const cpu = { device: async () => 'cpu' as const };
    const at = { run: 'raced', phase: 'pretrain' };
    const here = [1, 2, 3, 4].map((threads) => settleCpu(store, at, cpu, { threads, kind: 'avx2' }));
    const settled = await Promise.all(here);
    expect(new Set(settled.map((one) => one!.threads)).size).toBe(1);
  });

  it('on another kind of CPU are the same, and that its last bits differ is said', async () => {
    const cpu = { device: async () => 'cpu' as const };
    const at = { run: 'kinds', phase: 'pretrain' };
    await settleCpu(store, at, cpu, { threads: 4, kind: 'avx512_bf16' });
    expect(await settleCpu(store, at, cpu, { threads: 4, kind: 'avx2' })).toEqual({
      threads: 4,
      kind: 'avx2',
      remark:
        'this CPU (avx2) is another than the one that the phase began on (avx512_bf16): its last bits differ from here on',
    });
  });

  it('that can not be read are not guessed', async () => {
    await store.put('runs/spoilt/pretrain/cpu.json', '{"version":1,"threads":0,"kind":"avx2"}');
    const settled = settleCpu(store, { run: 'spoilt', phase: 'pretrain' }, { device: async () => 'cpu' });
    await expect(settled).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringMatching(
        /cpu.json no longer says with how many threads this phase began \(threads: .*\); put it back as it was, or delete it/,
      ),
    });
  });
});
