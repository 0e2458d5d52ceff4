import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { exportModel } from '../../activities/export-model.ts';
import { plan } from '../../activities/plan.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import { importModel } from '../../src/checkpoint/hugging-face/import-model.ts';
import { restoreCheckpoint } from '../../src/checkpoint/restore.ts';
import { findUnreferenced, sweepRun } from '../../src/checkpoint/sweep.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { remove } from '../../src/commands/remove.ts';
import { loadTokenizer } from '../../src/data/example/tokenizer.ts';
import { tokenTable } from '../../src/model/parameters.ts';
import { fullVocabulary } from '../../src/model/sizes.ts';
import { heldModel } from '../../src/plan/held-model.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { StateFiles } from '../../src/train/state-files.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { asBfloat16, tinyTensors, writeFolder } from '../checkpoint/hugging-face/tiny-folder.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';
import { type Hands, hands } from './fixture.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
const trainers: TrainerProcess[] = [];

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  await drawnEmoji(store, { concepts: 6 });
  const env = { ...process.env, ...server.environment };
  for (const i of [0, 1]) {
    const lockFile = join(on.folder, `real-${i}.lock`);
    trainers.push(createTrainerProcess({ lockFile, log: { info() {}, warn() {} }, env }));
  }
});
afterAll(async () => {
  for (const trainer of trainers) await trainer.close();
  await on.close();
  await server.stop();
});

/** Two phases whose tables have the tokens of one language alone; the second branches off the first. */
const recipe = (from: object, language: string, precision: string, more: object = {}) => ({
  version: 1,
  precision,
  model: {
    vision: { size: { width: 6, depth: 1, mlp: 5, heads: 2 }, patch: 2, resolution: 4 },
    text: { size: { width: 2, depth: 1, mlp: 3, heads: 1 }, length: 4, vocabulary: 'compact' },
  },
  data: { train: 'data/emoji/train', captions: [{ language, weight: 1 }] },
  schedule: { total: { steps: 4 }, warmup: { steps: 1 } },
  optimizer: { learningRate: 0.1, weightDecay: 0.1 },
  phases: [
    { name: 'tune', from, batch: 8, window: { to: { percent: 50 } }, ...more },
    { name: 'branch', from: 'tune', batch: 8, window: { from: { percent: 50 } } },
  ],
  checkpoint: { every: { steps: 1 }, shard: { steps: 1 } },
});

/** A phase, cut after each step, each part by the next of these trainers. */
async function train(plan: PhasePlan, parent: CheckpointRef, by: readonly (0 | 1)[]): Promise<CheckpointRef> {
  let from: CheckpointRef | null = null;
  for (const [i, trainer] of by.entries()) {
    const deps = on.deps(store, { trainer: trainers[trainer]! });
    const input: ShardInput = { plan, revision: 0, parent, from, toStep: plan.from.step + i + 1 };
    from = (await trainShard(deps, input, on.attempt())).checkpoint;
  }
  return from!;
}

async function planned(
  run: string,
  { run: other, phase }: CheckpointRef,
  language: string,
  precision: string,
  more?: object,
) {
  const asked = { run, recipe: recipe({ run: other, phase }, language, precision, more) };
  const [tune, branch] = (await plan(on.deps(store), asked, on.attempt())).phases;
  const { batches } = JSON.parse((await store.get(tune!.settings.key)).toString()) as PhaseSettings;
  return { tune: tune!, branch: branch!, ids: batches.vocabulary! };
}

const opened: StateFiles[] = [];
afterAll(async () => void (await Promise.all(opened.map((files) => files.close()))));
const folder = () => join(on.folder, `read-${opened.length}`);
async function open(folder: string): Promise<StateFiles> {
  const files = await StateFiles.open(folder);
  opened.push(files);
  return files;
}
async function filesOf(ref: CheckpointRef): Promise<StateFiles> {
  const at = folder();
  await restoreCheckpoint(store, ref, at);
  return open(at);
}
const tableIn = ({ model }: StateFiles) => model.readFloats(tokenTable, [fullVocabulary, 2]);
const tableOf = async (ref: CheckpointRef) => tableIn(await filesOf(ref));

/** The rows that are not bit for bit those of another table. */
function movedRows(table: Float32Array, from: Float32Array): number[] {
  const bits = (of: Float32Array) => new BigUint64Array(of.buffer);
  const [now, before] = [bits(table), bits(from)];
  return Array.from({ length: fullVocabulary }, (_, row) => row).filter((row) => now[row] !== before[row]);
}

/** Of all rows none moved but some of these: those of texts that were drawn. */
function expectMoved(table: Float32Array, from: Float32Array, ids: readonly number[]): void {
  const moved = movedRows(table, from);
  const trained = new Set(ids);
  expect(moved.filter((row) => !trained.has(row))).toEqual([]);
  expect(moved.length).toBeGreaterThan(0);
}

it('all 256,000 rows of the token table are what was imported, but for those that the data have, over phases, branches and runs', async () => {
  // Released weights are in bfloat16 now and then.
  await writeFolder(join(on.folder, 'tiny'), asBfloat16(tinyTensors()));
  const at = { scratch: on.folder, codeVersion: '0', attempt: 'a' };
  const base = await importModel(store, join(on.folder, 'tiny'), 'base', at);
  const imported = new Float32Array(tinyTensors().find(({ name }) => name === tokenTable)!.data.buffer);
  expect(movedRows(await tableOf(base), imported)).toEqual([]);

  const english = await planned('english', base, 'en', 'f32');
  const tuned = await train(english.tune, base, [0, 0]);
  const branched = await train(english.branch, tuned, [0, 0]);
  const after = await tableOf(branched);
  for (const table of [await tableOf(tuned), after]) expectMoved(table, imported, english.ids);

  // Other tokens, in bfloat16.
  const german = await planned('german', branched, 'de', 'bf16');
  const [known, asked] = [new Set(english.ids), new Set(german.ids)];
  expect(german.ids.some((id) => !known.has(id)) && english.ids.some((id) => !asked.has(id))).toBe(true);
  const half = await train(german.tune, branched, [0]);
  // What it went on from may go: another process has nothing but the new phase's own checkpoint.
  for (const run of ['base', 'english'])
    for await (const { key } of store.list(`runs/${run}/`)) await store.delete(key);
  const input = { plan: german.tune, revision: 0, parent: branched, from: half, toStep: german.tune.to.step };
  const { checkpoint } = await trainShard(on.deps(store, { trainer: trainers[1]! }), input, on.attempt());
  const end = await filesOf(checkpoint);
  const last = await tableIn(end);
  expectMoved(last, after, german.ids);
  expectMoved(last, imported, [...english.ids, ...german.ids]);
  // Rows that were new have seen the updates of this phase alone.
  const counts = `updates/${tokenTable}`;
  const seen = new Int32Array((await end.training.get(counts)!.read(counts)).buffer);
  expect([...seen]).toEqual(
    german.ids.map((id) => (known.has(id) ? checkpoint.step : checkpoint.step - branched.step)),
  );
  const to = { plan: german.tune, checkpoint, evaluation: null };
  const { prefix } = await exportModel(on.deps(store), to, on.attempt());
  await mkdir(folder());
  await writeFile(join(folder(), 'model.safetensors'), await store.get(`${prefix}model.safetensors`));
  expect(movedRows(await tableIn(await open(folder())), last)).toEqual([]);
}, 180_000);

it('tokens that a phase adds begin as the means of their pieces, and are in what goes on from it, in its export and in what is made of that', async () => {
  await writeFolder(join(on.folder, 'wordless'), tinyTensors());
  const at = { scratch: on.folder, codeVersion: '0', attempt: 'c' };
  const base = await importModel(store, join(on.folder, 'wordless'), 'wordless', at);
  const imported = new Float32Array(tinyTensors().find(({ name }) => name === tokenTable)!.data.buffer);
  const from = { run: base.run, phase: base.phase };
  const addedTokens = ['zyxxyz', 'grinning'];
  const written = recipe(from, 'en', 'f32', { freeze: ['tokenTable'], text: { addedTokens } });
  const full = { ...written, model: { ...written.model, text: { ...written.model.text, vocabulary: 'full' } } };
  const [tune, branch] = (await plan(on.deps(store), { run: 'words', recipe: full }, on.attempt())).phases;
  const tuned = await train(tune!, base, [0, 1]);
  const branched = await train(branch!, tuned, [1, 0]);

  const rows = [fullVocabulary + addedTokens.length, 2];
  const [still, moved] = [await filesOf(tuned), await filesOf(branched)].map((files) => files.model);
  const [before, after] = [await still!.readFloats(tokenTable, rows), await moved!.readFloats(tokenTable, rows)];
  expect(movedRows(before, imported)).toEqual([]);
  for (const [i, token] of addedTokens.entries()) {
    const pieces = loadTokenizer().ids(token);
    const mean = [0, 1].map((k) =>
      Math.fround(pieces.reduce((sum, id) => sum + imported[2 * id + k]!, 0) / pieces.length),
    );
    expect([...before.slice(2 * (fullVocabulary + i), 2 * (fullVocabulary + i) + 2)], token).toEqual(mean);
  }
  // Captions have the second, whose gradient is more than the decay that takes the same share of every row.
  const share = (row: number) => [0, 1].map((k) => after[2 * row + k]! / before[2 * row + k]!);
  const decayed = share(fullVocabulary);
  for (const k of [0, 1]) expect(share(fullVocabulary + 1)[k]).not.toBeCloseTo(decayed[k]!, 3);

  const { prefix } = await exportModel(
    on.deps(store),
    { plan: branch!, checkpoint: branched, evaluation: null },
    on.attempt(),
  );
  const exported = join(on.folder, 'words');
  await mkdir(exported);
  for (const name of [
    'model.safetensors',
    'config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'preprocessor_config.json',
  ])
    await writeFile(join(exported, name), await store.get(`${prefix}${name}`));
  const config = JSON.parse(await readFile(join(exported, 'config.json'), 'utf8'));
  expect(config.text_config).toMatchObject({ vocab_size: 256_002, added_tokens: addedTokens });
  const again = await importModel(store, exported, 'again', { ...at, attempt: 'd' });
  const table = await (await filesOf(again)).model.readFloats(tokenTable, rows);
  expect(Buffer.from(table.buffer).equals(Buffer.from(after.buffer))).toBe(true);
  expect((await heldModel(store, again)).model.text.addedTokens).toEqual(addedTokens);
  const onwards = {
    ...full,
    model: undefined,
    phases: [{ ...full.phases[0]!, from: { run: 'again', phase: 'import' }, text: undefined }],
  };
  const [next] = (
    await plan(on.deps(store), { run: 'onwards', recipe: JSON.parse(JSON.stringify(onwards)) }, on.attempt())
  ).phases;
  const settings = JSON.parse((await store.get(next!.settings.key)).toString()) as PhaseSettings;
  expect(settings.batches.addedTokens).toEqual(addedTokens);
  expect(settings.tokensAdded).toBe(undefined);
}, 180_000);

it('a phase of adapters leaves what was imported as it was, goes on in another process, and exports both for peft', async () => {
  await writeFolder(join(on.folder, 'plain'), tinyTensors());
  const at = { scratch: on.folder, codeVersion: '0', attempt: 'b' };
  const base = await importModel(store, join(on.folder, 'plain'), 'plain', at);
  const { tune } = await planned('adapters', base, 'en', 'f32', {
    lora: { rank: 1, alpha: 3, targets: ['q_proj', 'fc1'] },
  });
  const checkpoint = await train(tune, base, [0, 1]);
  const [before, after] = [await filesOf(base), await filesOf(checkpoint)];
  const layer = 'vision_model.encoder.layers.0.mlp.fc1';
  const moved: string[] = [];
  for (const name of before.model.tensors.keys()) {
    const own = Buffer.from(await before.model.read(name));
    if (!own.equals(await after.model.read(name))) moved.push(name);
    expect(own.equals(await after.base!.read(name)), name).toBe(true);
  }
  // Of two checkpoints what they are of lies once, and each has what is trained: it goes when nothing names it.
  const sizes = new Map<string, number>();
  for await (const { key, bytes } of store.list('runs/adapters/tune/r0/')) sizes.set(key, bytes);
  const bases = [...sizes].filter(([key]) => key.includes('/base/'));
  expect(bases).toHaveLength(1);
  expect(bases[0]![1]).toBeGreaterThan(2e6);
  const own = [...sizes].filter(([key]) => key.includes('/step-') && !key.includes('/commits/'));
  expect(own.filter(([key]) => key.endsWith('manifest.json'))).toHaveLength(2);
  expect(own.reduce((sum, [, bytes]) => sum + bytes, 0)).toBeLessThan(40_000);
  expect(await findUnreferenced(store, 'adapters')).toEqual([]);
  await sweepRun(store, 'adapters', { graceMs: 0 });
  expect(await store.head(bases[0]![0])).not.toBeNull();
  expect(moved.every((name) => /(q_proj|fc1)\.weight$/.test(name))).toBe(true);
  expect(moved).toContain(`${layer}.weight`);

  const { prefix } = await exportModel(on.deps(store), { plan: tune, checkpoint, evaluation: null }, on.attempt());
  const config = JSON.parse((await store.get(`${prefix}adapter/adapter_config.json`)).toString());
  expect(config).toMatchObject({ peft_type: 'LORA', r: 1, lora_alpha: 3 });
  const whole = await readFile(join(after.folder, 'model.safetensors'));
  expect(whole.equals(await store.get(`${prefix}model.safetensors`))).toBe(true);
  const path = join(on.folder, 'adapter_model.safetensors');
  await writeFile(path, await store.get(`${prefix}adapter/adapter_model.safetensors`));
  const adapters = await SafetensorsFile.open(path);
  expect(adapters.tensors.size).toBe(2 * config.target_modules.length);
  const [a, b] = await Promise.all(
    ['A', 'B'].map((which) => adapters.readFloats(`base_model.model.${layer}.lora_${which}.weight`)),
  );
  await adapters.close();
  const [old, now] = [
    await before.model.readFloats(`${layer}.weight`),
    await after.model.readFloats(`${layer}.weight`),
  ];
  for (const [i, value] of now.entries())
    expect(value).toBeCloseTo(old[i]! + 3 * b![Math.floor(i / a!.length)]! * a![i % a!.length]!, 5);

  // The same folder, imported beside what it is of: the same model, and a phase goes on with the adapters.
  await writeFile(join(on.folder, 'adapter_config.json'), JSON.stringify(config));
  const adapter = { folder: on.folder };
  const again = await importModel(store, join(on.folder, 'plain'), 'adapted', { ...at, adapter });
  const read = await filesOf(again);
  for (const name of read.model.tensors.keys()) {
    const ended = await after.model.readFloats(name);
    const differs = (await read.model.readFloats(name)).some((value, i) => !(Math.abs(value - ended[i]!) < 1e-6));
    expect(differs, name).toBe(false);
  }
  const { tune: next } = await planned('onward', again, 'en', 'f32', {
    lora: { rank: 1, alpha: 3, targets: ['q_proj', 'fc1'] },
  });
  const further = await filesOf(await train(next, again, [0, 1]));
  expect(await further.base!.readFloats(`${layer}.weight`)).toEqual(old);
  const restored = further.training.get(`${layer}.lora_B.weight`)!;
  const b2 = await restored.readFloats(`${layer}.lora_B.weight`);
  expect(Math.hypot(...b2.map((value, i) => value - b![i]!))).toBeLessThan(Math.hypot(...b!));
  const other = tinyTensors();
  for (const { data } of other) data[data.length - 1]! ^= 1;
  await writeFolder(join(on.folder, 'other'), other);
  await expect(importModel(store, join(on.folder, 'other'), 'other', { ...at, adapter })).rejects.toThrow(
    /trained on other weights/,
  );
  const said: string[] = [];
  for await (const line of remove(store, 'adapters/tune', { run: 'adapters', phase: 'tune' }, true)) said.push(line);
  expect(said).toContain('adapters/tune@2');
  expect(await store.head(bases[0]![0])).toBeNull();
}, 120_000);
