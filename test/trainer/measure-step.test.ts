import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchDocument, readDocumentAs } from '../../activities/documents.ts';
import { precisionQuestion, recordedChoice, xlaQuestion } from '../../activities/measured-choice.ts';
import { plan } from '../../activities/plan.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { toDocument } from '../../src/checkpoint/documents.ts';
import { xlaKey } from '../../src/checkpoint/keys.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import type { StepTime } from '../../src/trainer/protocol.ts';
import { type Hands, hands } from '../activities/fixture.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let trainer: TrainerProcess;
const said: string[] = [];

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  await drawnEmoji(store, { concepts: 12 });
  const env = { ...process.env, ...server.environment };
  const lockFile = join(on.folder, 'real.lock');
  trainer = createTrainerProcess({ lockFile, log: { info() {}, warn() {} }, env });
});
afterAll(async () => {
  await trainer.close();
  await on.close();
  await server.stop();
});

async function planned(run: string, change: object): Promise<PhasePlan> {
  const recipe = JSON.parse(readFileSync(new URL('../../infra/recipes/smoke.json', import.meta.url), 'utf8'));
  return (await plan(on.deps(store), { run, recipe: { ...recipe, ...change } }, on.attempt())).phases[0]!;
}

async function train(phase: PhasePlan, toStep: number) {
  // The same trainer, as if TensorFlow had given it a GPU.
  const onGpu: TrainerProcess = { ...trainer, device: () => trainer.device().then(() => 'gpu' as const) };
  const info = (_: object, message: string) => void said.push(message);
  const deps = on.deps(store, { trainer: onGpu, log: { info, warn: info } });
  const input = { plan: phase, revision: 0, parent: null, from: null, toStep };
  return (await trainShard(deps, input, on.attempt())).checkpoint.sha256;
}

describe('a step that is measured', { timeout: 120_000 }, () => {
  const measure = async (phase: PhasePlan, signal?: AbortSignal) => {
    const documents = join(on.folder, 'documents');
    const settings = await readDocumentAs<PhaseSettings>(store, phase.settings, documents);
    const indexFile = await fetchDocument(store, phase.index, documents);
    return (await trainer.run({ kind: 'measure', settings, indexFile, skip: [] }, {}, signal)) as StepTime | null;
  };

  it('takes its time, with every length of images of any shape, and gives the hash of its program', async () => {
    const vision = { naflex: { lengths: [4, 9], halveFrom: 9 } };
    const time = (await measure(await planned('shapes', { phases: [{ name: 'pretrain', batch: 32, vision }] })))!;
    expect(time.ms).toBeGreaterThan(0);
    expect(time.hash).toMatch(/^[0-9a-f]{64}$/);
    expect((await measure(await planned('fixed', {})))!.hash).not.toBe(time.hash);
  });

  it('is left when it is no longer wanted, and nothing is said of it', async () => {
    expect(await measure(await planned('fixed', {}), AbortSignal.abort())).toBeNull();
  });
});

describe('a phase whose trainer measures precision, and whether XLA is faster', { timeout: 600_000 }, () => {
  it('trains from there as if the recipe had said it, and tells when the program is another later', async () => {
    const phase = await planned('measured', { precision: 'auto' });
    const end = await train(phase, 10);
    const precise = (await recordedChoice(store, phase, precisionQuestion))!;
    const { f32, bf16 } = precise.ms;
    expect(precise.chosen).toBe(bf16! < 0.97 * f32! ? 'bf16' : 'f32');
    const choice = (await recordedChoice(store, phase, xlaQuestion))!;
    const { off, on } = choice.ms;
    expect(choice.chosen).toBe(on! < 0.97 * off! ? 'on' : 'off');
    expect(Math.min(f32!, bf16!, off!, on!)).toBeGreaterThan(0);
    const told = [`the precision is ${precise.chosen} for this phase`, `XLA is ${choice.chosen} for this phase`];
    for (const one of told) expect(said.filter((message) => message.startsWith(one))).toHaveLength(1);
    expect(end).toBe(await train(await planned('said', { precision: precise.chosen, xla: choice.chosen }), 10));
    expect(said.filter((message) => message.includes('no longer the program'))).toEqual([]);

    // As if another release had recorded another graph, in a trainer of its own.
    await trainer.close();
    const other = { version: 1, xla: choice.chosen, ms: choice.ms, hash: 'f'.repeat(64) };
    await store.put(xlaKey(phase, phase.settings.sha256), toDocument(other));
    await train(phase, 20);
    expect(said.filter((message) => message.includes('no longer the program'))).toEqual([
      `it stays in ${precise.chosen} with XLA ${choice.chosen} as the phase began, though the step is no longer the program that was measured then (ffffffffffff, now ${choice.hash.slice(0, 12)})`,
    ]);
  });
});
