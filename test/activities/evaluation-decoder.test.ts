import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dependencies } from '../../activities/dependencies.ts';
import { drawSheet } from '../../activities/draw-sheet.ts';
import { concludeEvaluation } from '../../activities/evaluation-conclude.ts';
import { embedPart } from '../../activities/evaluation-embed.ts';
import { evaluatePart } from '../../activities/evaluation-figure.ts';
import { planEvaluation } from '../../activities/evaluation-plan.ts';
import type { FeatureSetName } from '../../activities/types/evaluation.ts';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { checkpointSidecars } from '../../src/checkpoint/hugging-face/config.ts';
import { captionTexts, tokenised } from '../../src/data/example/caption-texts.ts';
import { tokenizerOf } from '../../src/data/example/compacted.ts';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { boxText } from '../../src/data/example/regions.ts';
import { collectTokenIds } from '../../src/data/example/token-ids.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { squarePixels } from '../../src/data/views/preprocess.ts';
import type { Figures } from '../../src/evaluate/evaluators/contract.ts';
import type { EvaluationDocument } from '../../src/evaluate/result.ts';
import { type Sheet, sheetSchema } from '../../src/evaluate/sheet/sheet.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { freshState, writeState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { trainerVariables } from '../../src/trainer/environment.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { tarOf } from '../data/tar-file.ts';
import { placedThings, thingNames } from '../evaluate/decoder/placed-things.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { tinySettings } from '../train/settings.ts';
import { type Hands, hands } from './fixture.ts';

// A model that has learned eight pictures by heart, a real trainer and a real S3 server.
const pictures = placedThings(8, 9);
const colours = ['#e00', '#00e', '#0c0', '#222'];
const data = 'data/things/seen';
let server: TestServer;
let store: S3ObjectStore;
let folder: string;
let on: Hands;
let trainer: TrainerProcess;

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  folder = await mkdtemp(join(tmpdir(), 'siglip2-decoder-'));
  await store.put(`${data}/0.tar`, tarOf((await Promise.all(pictures.map(members))).flat()));
  // Others to learn from, so that nothing is tested on what was learned.
  const others = placedThings(40, 11);
  await store.put('data/things/train/0.tar', tarOf((await Promise.all(others.map(members))).flat()));
  await learnByHeart();
  trainer = createTrainerProcess({
    lockFile: join(on.folder, 'device.lock'),
    log: { info() {}, warn() {} },
    env: { ...trainerVariables(), ...server.environment },
  });
});
afterAll(async () => {
  await trainer?.close();
  await on.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** A picture of 16 pixels a side, white but for two quarters. */
async function members({ truth, texts }: (typeof pictures)[number], number: number) {
  const side = 16;
  const quarters = truth.regions!.map(({ caption, box: [top, left] }) => {
    const background = colours[thingNames.indexOf(caption)]!;
    const input = { create: { width: side / 2, height: side / 2, channels: 3 as const, background } };
    return { input, top: top * side, left: left * side };
  });
  const body = await sharp({ create: { width: side, height: side, channels: 3, background: '#fff' } })
    .composite(quarters)
    .png()
    .toBuffer();
  const meta = { captions: texts, concept: `${number}`, ...truth };
  return [
    { name: `${number}.png`, body },
    { name: `${number}.json`, body: JSON.stringify(meta) },
  ];
}

/** Commits run/pretrain@1 of a phase with captioning, whose three tasks were trained on the eight pictures. */
async function learnByHeart(): Promise<void> {
  const index = await indexData(store, data);
  const vocabulary = await collectTokenIds(store, index, ['en'], { captioning: true });
  const text = { width: 32, depth: 1, mlp: 64, heads: 2, length: 26, vocabulary: vocabulary.length };
  const settings: PhaseSettings = {
    ...tinySettings,
    model: { vision: { ...tinySettings.model.vision, width: 24, heads: 2 }, text },
    objectives: { captioning: { weight: 1, depth: 1, chunk: 500 } },
    optimizer: { ...tinySettings.optimizer, learningRate: 0.006, weightDecay: 0, multipliers: {} },
    schedule: { total: 8 * 300, warmup: 8 * 10 },
    batches: { ...tinySettings.batches, batch: 8, textLength: text.length, vocabulary },
  };
  const tokenizer = tokenizerOf(vocabulary);
  const images: Uint8Array[] = [];
  const said: { caption: string; regions: NonNullable<(typeof pictures)[number]['truth']['regions']> }[] = [];
  for await (const { image, meta } of readExamples(store, index)) {
    images.push(squarePixels(image, settings.model.vision.resolution, 'antialias'));
    said.push({ caption: meta.captions.en![0]!, regions: meta.regions! });
  }
  /** With the first or the second region of each. */
  const batchOf = (which: number) => {
    const targets = new Int32Array(8 * 3 * text.length);
    const targetWeights = new Float32Array(targets.length);
    for (const [i, { caption, regions }] of said.entries()) {
      const region = regions[which]!;
      const all = captionTexts(caption, { caption: region.caption, box: boxText(region) }, 'both');
      for (const [task, target] of [all.captioning!, all.referring!, all.grounded!].entries()) {
        const { ids, weights } = tokenised(target, tokenizer, text.length);
        targets.set(ids, (3 * i + task) * text.length);
        targetWeights.set(weights, (3 * i + task) * text.length);
      }
    }
    const tokens = tokenizer.tokenize(
      said.map(({ caption }) => caption),
      text.length,
    );
    const parts = { targets, targetWeights, parallel: new Int32Array(24) };
    return { index: 0, images: Buffer.concat(images), tokens, parts, skipped: [] };
  };
  const batches = [batchOf(0), batchOf(1)];
  const step = createTrainer(settings);
  step.program.write(freshState(settings));
  for (let k = 1; k <= 300; k++) step.step(k, batches[k % 2]!);
  const at = join(folder, 'checkpoint');
  await mkdir(at);
  const { state } = await writeState(at, settings, step.program.read(step.stateNames));
  step.program.dispose();
  await commitCheckpoint(store, {
    ...{ run: 'run', phase: 'pretrain', revision: 0, step: 1, examples: 8, folder: at, state, parent: null },
    ...{ sidecars: checkpointSidecars(settings.model), metrics: { loss: 1, examplesPerSecond: 1, dataWaitShare: 0 } },
    ...{ recipeHash: '', dataFingerprint: '', codeVersion: '0', skipped: [], attempt: 'a', inputHash: 'a'.repeat(64) },
  });
}

const task = (changes: object = {}) => ({ version: 1, name: 'things', data, resize: 'antialias', ...changes });
const quick = { depth: 1, steps: 12, batch: 8, learningRate: 0.005 };

async function evaluateBy(
  deps: Dependencies,
  of: object,
): Promise<{ document: EvaluationDocument; bytes: string; sheet: () => Promise<Sheet> }> {
  const plan = await planEvaluation(deps, { model: 'run/pretrain@1', task: of }, on.attempt());
  for (const set of ['classes', 'test', 'train'] as FeatureSetName[])
    for (let part = 0; part < plan.parts[set]; part++) await embedPart(deps, { plan, set, part }, on.attempt());
  for (let figure = 0; figure < plan.figures; figure++) await evaluatePart(deps, { plan, figure }, on.attempt());
  const { key } = await concludeEvaluation(deps, { plan }, on.attempt());
  const bytes = (await store.get(key)).toString('utf8');
  const sheet = async () => {
    const drawn = await drawSheet(deps, { plan }, on.attempt());
    return sheetSchema.parse(JSON.parse((await store.get(drawn.key)).toString('utf8')));
  };
  return { document: JSON.parse(bytes) as EvaluationDocument, bytes, sheet };
}

const depsOf = (changes: Partial<Dependencies> = {}) =>
  on.deps(store, { trainer, examplesOfPart: 5, scratch: join(on.folder, 'scratch'), ...changes });

describe('the decoder of a checkpoint', () => {
  it('says what it has learned by heart: captions, boxes of expressions, and what is in boxes', async () => {
    const { document, sheet } = await evaluateBy(
      depsOf(),
      task({ evaluators: { captioning: {}, referring: {}, grounded: {} } }),
    );
    const { found, pictures } = await sheet();
    expect(found.map(({ by }) => by)).toEqual(
      new Array(8).fill(`referring px-${tinySettings.model.vision.resolution}`),
    );
    expect(new Set(found.map(({ id }) => id)).size).toBe(8);
    const near = found.flatMap(({ boxes }) =>
      boxes.filter(({ truth, found }) => found?.every((side, k) => Math.abs(side - truth![k]!) < 0.05)),
    );
    expect(near.length).toBeGreaterThanOrEqual(15);
    for (const { id, boxes } of found) {
      expect(pictures[id]).toMatchObject({ width: 16, height: 16 });
      expect(boxes.map(({ text }) => text).every((text) => thingNames.includes(text))).toBe(true);
    }
    const of = (name: string) => document.figures.find(({ evaluator }) => evaluator === name)!;
    const { en } = of('captioning').figures.by_language as Record<string, Figures>;
    expect(en).toMatchObject({ pictures: 8, left_out: 0 });
    expect(en!.exact).toBeGreaterThanOrEqual(7 / 8);
    expect(of('captioning').fingerprint['text.captions']).toBe('at most 1 of a picture, as texts');
    expect(of('referring').fingerprint).not.toHaveProperty('text.captions');
    expect(of('referring').figures).toMatchObject({ expressions: 16, pictures: 8 });
    expect(of('referring').figures['acc@0.5']).toBeGreaterThanOrEqual(15 / 16);
    expect(of('grounded').figures.exact).toBeGreaterThanOrEqual(15 / 16);
    expect(of('grounded').figures['BLEU-1']).toBeGreaterThan(0.9);
    expect(of('referring').intervals['acc@0.5']!.high).toBeLessThanOrEqual(1);
    expect(of('referring').fingerprint['referring.decoder']).toBe(
      'trained with the model, greedy, ARef : expression :',
    );
  });

  it('is asked for in one clear sentence where there is none', async () => {
    const probe = { train: { data: 'data/things/train' }, evaluators: { referring: {}, referringProbe: quick } };
    await commitWithout();
    await expect(
      planEvaluation(depsOf(), { model: 'plain/pretrain@1', task: task(probe) }, on.attempt()),
    ).rejects.toThrow(
      "the task can't be done: evaluators.referring ask the decoder of the model, and it has none; " +
        'evaluate a checkpoint RUN/PHASE@STEP of a phase whose objectives have captioning',
    );
  });
});

/** A checkpoint of a phase without captioning. */
async function commitWithout(): Promise<void> {
  const at = join(folder, 'plain');
  await mkdir(at);
  const { state } = await writeState(at, tinySettings, freshState(tinySettings));
  await commitCheckpoint(store, {
    ...{ run: 'plain', phase: 'pretrain', revision: 0, step: 1, examples: 8, folder: at, state, parent: null },
    ...{
      sidecars: checkpointSidecars(tinySettings.model),
      metrics: { loss: 1, examplesPerSecond: 1, dataWaitShare: 0 },
    },
    ...{ recipeHash: '', dataFingerprint: '', codeVersion: '0', skipped: [], attempt: 'a', inputHash: 'b'.repeat(64) },
  });
}

describe('an evaluator with a lesson', () => {
  it('has the same file when its worker dies after every piece of it, and learns no piece twice', async () => {
    const probes = task({
      name: 'probes',
      train: { data: 'data/things/train' },
      evaluators: { referringProbe: quick, languageModel: quick },
    });
    const whole = await evaluateBy(depsOf(), probes);
    const [boxes, words] = whole.document.figures;
    expect(boxes!.figures).toMatchObject({ expressions: 16 });
    expect(boxes!.fingerprint['referringProbe.decoder']).toMatch(/^1 layers, 12 steps of 8, rate 0.005/);
    expect(words!.figures.answers).toMatchObject({ questions: 8 });
    expect(words!.fingerprint).toMatchObject({ 'text.languages': 'en', 'text.captions': expect.any(String) });
    expect(boxes!.fingerprint).toMatchObject({ 'train.overlap': expect.any(Number) });
    for (const prefix of ['features/', 'evaluations/'])
      for await (const { key } of store.list(prefix)) await store.purge(key);
    const steps: number[] = [];
    const watched: TrainerProcess = {
      ...trainer,
      run: async (job, events, signal) => {
        // One step of each.
        const own = job.kind === 'learn' ? { ...job, forMs: 0 } : job;
        const result = await trainer.run(own, events, signal);
        if (job.kind === 'learn') steps.push((result as { step: number }).step);
        return result;
      },
    };
    let deaths = 0;
    for (let life = 0; ; life++) {
      const deps = depsOf({
        trainer: watched,
        scratch: join(on.folder, `life-${life}`),
        onPoint: (point) => {
          // After each of the first pieces that was kept; then it may live.
          if (point === 'stored' && steps.length % 5 === 3 && deaths < 4) {
            deaths++;
            throw new Error('killed');
          }
        },
      });
      const again = await evaluateBy(deps, probes).catch((error: Error) => {
        if (error.message !== 'killed') throw error;
        return null;
      });
      if (!again) continue;
      expect(again.bytes).toBe(whole.bytes);
      break;
    }
    expect(deaths).toBe(4);
    // Two lessons of 12 steps, each step once.
    expect(steps).toEqual([
      ...Array.from({ length: 12 }, (_, i) => i + 1),
      ...Array.from({ length: 12 }, (_, i) => i + 1),
    ]);
    for await (const { key } of store.list('features/')) expect(key).not.toMatch(/learning\.safetensors$/);
  });
});
