import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowFailedError } from '@temporalio/client';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dependencies } from '../../activities/dependencies.ts';
import { keepDocumentBelow } from '../../activities/documents.ts';
import { drawSheet } from '../../activities/draw-sheet.ts';
import { concludeEvaluation, leaveEvaluation } from '../../activities/evaluation-conclude.ts';
import { embedPart } from '../../activities/evaluation-embed.ts';
import { evaluatePart } from '../../activities/evaluation-figure.ts';
import { planEvaluation } from '../../activities/evaluation-plan.ts';
import type { FeatureSetName, TaskResult } from '../../activities/types/evaluation.ts';
import { makeAskedEmojiDataset } from '../../infra/emoji/asked.ts';
import { makeMaskedScenes } from '../../infra/emoji/masks.ts';
import { localFiles } from '../../src/benchmarks/files.ts';
import { packBenchmark } from '../../src/benchmarks/pack.ts';
import { findCommits } from '../../src/checkpoint/commits.ts';
import { nameOf } from '../../src/checkpoint/damage.ts';
import { importByContent } from '../../src/checkpoint/hugging-face/import-by-content.ts';
import { dueHolder, pin, pinsOf } from '../../src/checkpoint/pins.ts';
import { evaluate, evaluationId, readEvaluation } from '../../src/commands/evaluate.ts';
import { formatComparison, formatTaskResult } from '../../src/commands/format-task-result.ts';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { loadTokenizer } from '../../src/data/example/tokenizer.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import type { DataIndex } from '../../src/data/index/types.ts';
import { squarePixels } from '../../src/data/views/preprocess.ts';
import type { Figures } from '../../src/evaluate/evaluators/contract.ts';
import { readOutcomes } from '../../src/evaluate/evaluators/outcomes.ts';
import { compare, compareWithIntervals, switchedOne } from '../../src/evaluate/explain.ts';
import type { EvaluationDocument, FigureDocument } from '../../src/evaluate/result.ts';
import { sheetSchema } from '../../src/evaluate/sheet/sheet.ts';
import { parseTask } from '../../src/evaluate/tasks/task.ts';
import { openEmbedder } from '../../src/model/embed.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { randomStream } from '../../src/runtime/random.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { trainerVariables } from '../../src/trainer/environment.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import type { TrainerJob } from '../../src/trainer/protocol.ts';
import { writeExport } from '../parity/export-folder.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';
import { long } from '../support/long.ts';
import { testTemporal } from '../workflows/harness.ts';
import { keepHistory } from '../workflows/histories.ts';
import { type Hands, hands } from './fixture.ts';

// A real model, real pictures, a real trainer, S3 and Temporal.
const temporal = testTemporal();
let server: TestServer;
let store: S3ObjectStore;
let folder: string;
let model: ModelConfig;
let index: DataIndex;
let on: Hands;
let trainer: TrainerProcess;
let trainerPid: number | undefined;
let name: string;

const task = (changes: object = {}) => ({
  version: 1,
  name: 'styles',
  data: 'data/emoji/held-out',
  train: { data: 'data/emoji/train', sample: { examples: 60 } },
  languages: ['en', 'de', 'tlh'],
  resize: 'antialias',
  evaluators: {
    zeroShot: {},
    retrieval: {},
    knn: { k: [5] },
    fewShot: { shots: [2], seeds: 2 },
    logistic: { iterations: 50 },
  },
  ...changes,
});

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  folder = await mkdtemp(join(tmpdir(), 'siglip2-evaluation-'));
  const dataset = await drawnEmoji(store, { concepts: 24 });
  index = await indexData(store, dataset.heldOut);
  const labels: string[] = [];
  for await (const { meta } of readExamples(store, index)) labels.push(meta.captions.en![0]!, meta.captions.de![0]!);
  ({ model } = await writeExport(folder, labels));
  const made = { scratch: on.folder, codeVersion: '0.0.0', attempt: 'import' };
  name = nameOf(await importByContent(store, folder, made));
  trainer = createTrainerProcess({
    lockFile: join(on.folder, 'device.lock'),
    log: {
      info(fields: { readonly trainer?: number; readonly device?: string }) {
        if (fields.device) trainerPid = fields.trainer;
      },
      warn() {},
    },
    env: { ...trainerVariables(), ...server.environment },
  });
});
afterAll(async () => {
  await trainer?.close();
  await on.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const depsOf = (changes: Partial<Dependencies> = {}) =>
  on.deps(store, { trainer, examplesOfPart: 20, scratch: join(on.folder, 'scratch'), ...changes });

/** What the workflow does, one after the other, until it is done or something dies. */
async function evaluateBy(deps: Dependencies, of: object): Promise<TaskResult> {
  const plan = await planEvaluation(deps, { model: name, task: of }, on.attempt());
  if (!plan.done) {
    for (const set of ['classes', 'test', 'train'] as FeatureSetName[])
      for (let part = 0; part < plan.parts[set]; part++) await embedPart(deps, { plan, set, part }, on.attempt());
    for (let figure = 0; figure < plan.figures; figure++) await evaluatePart(deps, { plan, figure }, on.attempt());
    await drawSheet(deps, { plan }, on.attempt());
  }
  return concludeEvaluation(deps, { plan }, on.attempt());
}

const figuresOf = (result: EvaluationDocument, evaluator: string): Figures =>
  result.figures.find((one) => one.evaluator === evaluator)!.figures;

const deaths = long ? 20 : 6;
let whole: { readonly key: string; readonly bytes: string; readonly sheet: string };
const sheetOf = async (result: string) =>
  (await store.get(result.replace(/result\.json$/, 'sheet.json'))).toString('utf8');

describe('an evaluation', () => {
  it(`is the same file when it is killed ${deaths} times, and repeats no part that was finished`, async () => {
    const random = randomStream(7, 'kills');
    const finished: string[] = [];
    const nameOf = (job: TrainerJob) =>
      job.kind === 'embed'
        ? `${'images' in job.of ? job.of.images.data.fingerprint.slice(0, 6) : 'classes'} ${job.part}`
        : job.kind === 'figure'
          ? `${job.evaluator} ${job.view}`
          : job.kind;
    let [kills, lives] = [0, 0];
    for (let result: TaskResult | null = null; !result; lives++) {
      let current = '';
      const counting: TrainerProcess = {
        ...trainer,
        run: (job, events, signal) => {
          current = nameOf(job);
          // What lies in the bucket is never made again.
          expect(finished).not.toContain(current);
          // Sometimes the trainer dies in the midst of its work.
          if (kills < deaths && trainerPid && random.next() < 0.1)
            setTimeout(() => process.kill(trainerPid!, 'SIGKILL'), 5);
          return trainer.run(job, events, signal);
        },
      };
      const onPoint = (point: string) => {
        if (point === 'stored') finished.push(current);
        if (kills < deaths && random.next() < 0.7) throw new Error('killed');
      };
      // A worker that died leaves nothing that its successor sees.
      const deps = depsOf({ trainer: counting, onPoint, scratch: join(on.folder, `life-${lives}`) });
      result = await evaluateBy(deps, task()).catch((error: Error) => {
        if (error.message !== 'killed' && !isRunnerError(error, 'TrainerCrashed')) throw error;
        kills++;
        return null;
      });
      if (result) {
        const bytes = (await store.get(result.key)).toString('utf8');
        whole = { key: result.key, bytes, sheet: await sheetOf(result.key) };
      }
    }
    expect(kills).toBe(deaths);
    // Of each recall an interval around it.
    const { figures, intervals } = JSON.parse(whole.bytes).figures[1];
    const r10 = figures.by_language.en.text_to_image.r10;
    const { low, high } = intervals['by_language.en.text_to_image.r10'];
    expect(low).toBeLessThan(r10);
    expect(high).toBeGreaterThan(r10);
    // Two of the test set, three of train, five evaluators.
    expect(new Set(finished).size).toBe(10);
    expect(finished).toHaveLength(10);
    // Undisturbed, in a bucket without any of it: the same bytes.
    for (const prefix of ['features/', 'evaluations/'])
      for await (const { key } of store.list(prefix)) await store.purge(key);
    const again = await evaluateBy(depsOf(), task());
    expect(again.key).toBe(whole.key);
    expect((await store.get(again.key)).toString('utf8')).toBe(whole.bytes);
    expect(await sheetOf(again.key)).toBe(whole.sheet);
    // The checkpoint is let go of.
    const { name: of } = JSON.parse(whole.bytes).model as EvaluationDocument['model'];
    const at = { run: of.split('/')[0]!, phase: 'import' };
    expect(await pinsOf(store, at)).toEqual([]);
    // And of one that fails likewise.
    const [held] = await findCommits(store, at);
    await pin(store, held!, dueHolder('failing'));
    const plan = await planEvaluation(depsOf(), { model: of, task: task({ name: 'failing' }) }, on.attempt());
    // A person's evaluation leaves what a run holds; that of the run itself takes its place.
    expect((await pinsOf(store, at)).map(({ who }) => who).sort()).toEqual(['due-failing', expect.any(String)]);
    const document = await keepDocumentBelow(store, 'runs/x/', 'task', task({ name: 'failing' }));
    await planEvaluation(depsOf(), { model: of, task: document }, on.attempt());
    expect((await pinsOf(store, at)).map(({ who }) => who)).toEqual([expect.stringMatching(/^evaluate-/)]);
    await leaveEvaluation(depsOf(), { plan }, on.attempt());
    expect(await pinsOf(store, at)).toEqual([]);
    // A run means the revision that it trains, whatever the name stands for.
    await expect(
      planEvaluation(depsOf(), { model: of, revision: held!.revision + 1, task: document }, on.attempt()),
    ).rejects.toThrow('is missing');
    // What can't be evaluated at all is let go of too.
    await pin(store, held!, dueHolder('failing'));
    const nowhere = task({ name: 'failing', data: 'data/not-there' });
    const lost = await keepDocumentBelow(store, 'runs/x/', 'task', nowhere);
    await expect(planEvaluation(depsOf(), { model: of, task: lost }, on.attempt())).rejects.toThrow('not-there');
    expect(await pinsOf(store, at)).toEqual([]);
  });

  it('looks for boxes of scenes by the names of their categories, with features of each patch', async () => {
    const made = await makeAskedEmojiDataset(store, { concepts: 24, scenes: 24 });
    const { key } = await evaluateBy(
      depsOf(),
      task({
        ...{ name: 'boxes', data: made.heldOut, train: { data: made.train }, languages: ['en'] },
        classes: { names: 'data/emoji-asked/categories.txt', templates: ['a {}'] },
        evaluators: { detection: { boxes: 'regions', steps: 3, batch: 8 } },
      }),
    );
    const { figures: all } = JSON.parse((await store.get(key)).toString('utf8')) as EvaluationDocument;
    const [{ figures, fingerprint, notes }] = all as [FigureDocument];
    let boxes = 0;
    for await (const { meta } of readExamples(store, await indexData(store, made.heldOut)))
      boxes += meta.regions!.length;
    expect(figures).toMatchObject({ boxes, train_rounds: 1 });
    expect(figures.AP).toBeLessThan(0.1);
    expect(notes).toEqual([]);
    expect(fingerprint['detection.towers']).toMatch(/^frozen/);
    expect(fingerprint['text.classes']).toMatch(/ names, /);
  });

  it('has a sheet of pictures, whose nearest ones are those of the figures', async () => {
    const sheet = sheetSchema.parse(JSON.parse(whole.sheet));
    expect(sheet.looked).toEqual({ pictures: 24, of: 24, language: 'en', view: `px-${model.vision.resolution}` });
    expect(sheet.outcomes).toHaveLength(24);
    const result = JSON.parse(whole.bytes) as EvaluationDocument;
    const { top1 } = (figuresOf(result, 'zeroShot').by_language as Record<string, Figures>).en as { top1: number };
    expect(sheet.outcomes.filter(({ right }) => right).length / 24).toBeCloseTo(top1, 12);
    expect(sheet.confusions.length).toBeGreaterThan(0);
    for (const { nearest } of sheet.textToImage) expect(nearest).toHaveLength(5);
    const grid = Math.floor(model.vision.resolution / model.vision.patch);
    const { data, info } = await sharp(Buffer.from(sheet.maps[0]!.attention, 'base64'))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([info.width, info.height, Math.max(...data)]).toEqual([grid, grid, 255]);
    for (const { id } of [...sheet.outcomes, ...sheet.maps]) expect(Object.keys(sheet.pictures)).toContain(id);
    expect(Buffer.byteLength(whole.sheet)).toBeLessThan(200_000);
  });

  it('has the figures of a loop that embeds one picture and one text at a time', async () => {
    const result = JSON.parse(whole.bytes) as EvaluationDocument;
    const tokenizer = loadTokenizer();
    const images: Float32Array[] = [];
    const said: string[] = [];
    for await (const { meta } of readExamples(store, index)) said.push(meta.captions.en![0]!);
    const tokens = tokenizer.tokenize(said, model.text.length);
    const embedder = await openEmbedder(
      folder,
      model,
      [...new Set(tokens)].sort((a, b) => a - b),
    );
    for await (const { image } of readExamples(store, index))
      images.push(embedder.images(squarePixels(image, model.vision.resolution, 'antialias')));
    const texts = said.map((text) => embedder.texts(tokenizer.tokenize([text], model.text.length)));
    embedder.dispose();
    const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, k) => sum + value * b[k]!, 0);
    const hits = (k: number, queries: Float32Array[], candidates: Float32Array[]) =>
      queries.filter((query, i) => {
        const own = cosine(query, candidates[i]!);
        return candidates.filter((candidate, j) => j !== i && cosine(query, candidate) >= own).length < k;
      }).length / queries.length;
    const { en, tlh } = figuresOf(result, 'retrieval').by_language as Record<string, Record<string, Figures>>;
    for (const k of [1, 5, 10]) {
      expect(en!.image_to_text![`r${k}`]).toBeCloseTo(hits(k, images, texts), 12);
      expect(en!.text_to_image![`r${k}`]).toBeCloseTo(hits(k, texts, images), 12);
    }
    expect(en!.text_to_image!.r10).toBeGreaterThan(0);
    expect(tlh).toEqual({ images: 24, texts: 0, left_out: 24 });
    const classified = (figuresOf(result, 'zeroShot').by_language as Record<string, Figures>).en!;
    expect(classified).toMatchObject({ classes: 24, examples: 24, top5: expect.closeTo(hits(5, images, texts), 12) });
    // 60 pictures of train are of so many classes, and each test picture of one of these counts.
    const { k5 } = figuresOf(result, 'knn') as Record<string, Figures>;
    expect((k5!.examples as number) + (k5!.left_out as number)).toBe(24);
  });

  it('carries a fingerprint on every figure, and explains a difference by the settings that are not the same', async () => {
    const a = JSON.parse(whole.bytes) as EvaluationDocument;
    const { fingerprint } = a.figures.find(({ evaluator }) => evaluator === 'retrieval')!;
    expect(fingerprint).toMatchObject({
      'text.case': 'lower',
      'text.length': 16,
      'text.templates': 'none',
      'image.view': `px-${model.vision.resolution}`,
      'image.resize': 'antialias, squashed to a square',
      'image.masks': 'none',
      'data.sample': 'all 24',
      'data.duplicates': 0,
      'retrieval.ties': 'against the model',
      precision: 'f32',
      code: '0.0.0',
      'features.code': '0.0.0',
      'features.device': 'cpu',
    });
    const learned = a.figures.find(({ evaluator }) => evaluator === 'knn')!.fingerprint;
    expect(learned).toMatchObject({ 'train.overlap': 0, 'train.sample': '60 of 120, one of each part, seed 0' });

    const { key } = await evaluateBy(
      depsOf(),
      task({ resize: 'big_vision', text: { case: 'kept' }, train: undefined, evaluators: { retrieval: {} } }),
    );
    const b = await readEvaluation(store, key);
    const outcomesOf = async ({ outcomes }: FigureDocument) => {
      const file = join(on.folder, `${outcomes.sha256}.safetensors`);
      await writeFile(file, await store.get(outcomes.key));
      return readOutcomes(file);
    };
    const [difference, ...others] = await compareWithIntervals(a, b, outcomesOf);
    expect(others).toEqual([]);
    expect(difference!.settings).toEqual([
      { name: 'image.resize', a: 'antialias, squashed to a square', b: 'big_vision, squashed to a square' },
      { name: 'text.case', a: 'lower', b: 'kept' },
    ]);
    expect(difference!.same).toBeGreaterThan(12);
    // 24 pictures tell nothing apart, unless the other setting finds far more of them.
    const own = difference!.figures.find(({ name }) => name === 'by_language.en.image_to_text.r10')!;
    expect(own.difference!.low).toBeLessThanOrEqual(own.b - own.a);
    expect(own.difference!.high).toBeGreaterThanOrEqual(own.b - own.a);
    const itself = await compareWithIntervals(a, a, outcomesOf);
    const differences = itself.flatMap(({ figures }) => figures.flatMap((one) => one.difference ?? []));
    expect(differences.length).toBeGreaterThan(10);
    for (const one of differences) expect(one).toEqual({ low: 0, high: 0, differs: false });
    expect(formatComparison([difference!])).toContain('  2 settings differ, ');
    expect(switchedOne(a, b).map(({ what }) => what)).toEqual(['text', 'resize', 'train']);
    expect(switchedOne(a, b)[0]!.task).toEqual({ ...a.task, text: { case: 'kept' } });
    expect(compare(a, a).every(({ settings }) => settings.length === 0)).toBe(true);
  });

  it('of a data set of others is two commands: one packs it, one has its figures by groups, and what is published beside', async () => {
    const raw = join(on.folder, 'street');
    const rows = ['id,country.name,region.id,imageRelPath,income,imagenet_sysnet_id'];
    await mkdir(raw);
    for (let i = 0; i < 24; i++) {
      rows.push(`${i},${['Peru', 'Laos'][i % 2]},r${i % 3},${i}.png,${100 * i},[${i % 2}]`);
      const background = { r: 10 * i, g: 200 - 5 * i, b: 90 };
      await sharp({ create: { width: 20, height: 12, channels: 3, background } })
        .png()
        .toFile(join(raw, `${i}.png`));
    }
    await writeFile(join(raw, 'images_v2_imagenet_test.csv'), rows.join('\n'));
    const settings = { kind: 'dollar-street', shardBytes: 1e6, shardExamples: 10 } as const;
    const job = { files: localFiles(raw), to: 'data/street', settings, scratch: on.folder, note() {} };
    expect(await packBenchmark(store, job)).toMatchObject({ examples: 24, shards: 3 });
    const { key } = await evaluateBy(
      depsOf(),
      task({
        ...{ name: 'street', data: 'data/street', train: undefined, languages: ['en'] },
        classes: { names: ['male', 'female'] },
        evaluators: { zeroShot: { top: [1] }, groups: { by: ['income', 'region'] }, bias: {}, calibration: {} },
        published: { 'groups.income.gap': 'dollar-street income_gap' },
      }),
    );
    const result = await readEvaluation(store, key);
    const { top1 } = figuresOf(result, 'zeroShot') as { top1: number };
    const { income, region } = figuresOf(result, 'groups') as Record<
      string,
      { by: Record<string, Figures>; gap: number }
    >;
    const mean = Object.values(income!.by).reduce(
      (sum, one) => sum + (one.top1 as number) * (one.examples as number),
      0,
    );
    expect(mean / 24).toBeCloseTo(top1, 12);
    expect(Object.keys(income!.by)).toEqual(['Q1', 'Q2', 'Q3', 'Q4']);
    expect(Object.keys(region!.by)).toEqual(['r0', 'r1', 'r2']);
    expect(figuresOf(result, 'calibration').top1).toBeCloseTo(top1, 12);
    expect(figuresOf(result, 'bias')).toHaveProperty('representation_bias');
    const { fingerprint } = result.figures.find(({ evaluator }) => evaluator === 'groups')!;
    expect(fingerprint).toMatchObject({ 'groups.by': 'income, region', 'groups.counts': 'top1' });
    expect(formatTaskResult(result)).toMatch(/income\.gap\n {12}published at .*px-224.*\(Table 9\)/);
  });

  it('of scenes with masks tells classes of pixels by a probe, by neighbours and by names', async () => {
    const scenes = await makeMaskedScenes(store, { scenes: 8, concepts: 16 });
    const { resolution } = model.vision;
    const { key } = await evaluateBy(
      depsOf(),
      task({
        ...{ name: 'scenes', data: scenes.heldOut, train: { data: scenes.train }, languages: ['en'] },
        views: { resolutions: [resolution] },
        classes: { names: scenes.classnames },
        evaluators: {
          segmentation: { iterations: 20 },
          knnSegmentation: {},
          openSegmentation: { background: { below: 0 } },
        },
      }),
    );
    const result = await readEvaluation(store, key);
    for (const name of ['segmentation', 'knnSegmentation', 'openSegmentation'])
      expect(figuresOf(result, name)).toMatchObject({
        classes: 17,
        examples: 2,
        left_out: 0,
        mIoU: expect.any(Number),
      });
    const { fingerprint, intervals } = result.figures.find(({ evaluator }) => evaluator === 'segmentation')!;
    expect(fingerprint).toMatchObject({ 'image.masks': 'own size, 128 x 128', 'segmentation.ignored': 255 });
    expect(intervals).toHaveProperty('mIoU');
    expect(result.figures.flatMap(({ notes }) => notes)).toEqual([]);
    expect(formatTaskResult(result)).toContain('mIoU');
  });

  it('says loudly that pictures are in train too, and shows a model at several resolutions', async () => {
    const { resolution, patch } = model.vision;
    const { key } = await evaluateBy(
      depsOf(),
      task({
        name: 'leaky',
        train: { data: ['data/emoji/train', 'data/emoji/held-out'] },
        views: { resolutions: [resolution, resolution + 2 * patch] },
        evaluators: { knn: { k: [1] } },
      }),
    );
    const result = await readEvaluation(store, key);
    expect(result.figures.map(({ view }) => view)).toEqual([`px-${resolution}`, `px-${resolution + 2 * patch}`]);
    expect(result.figures[0]!.notes[0]).toBe(
      'WARNING: 24 of the pictures that are evaluated on are in train too, byte for byte',
    );
    expect(result.figures[0]!.figures.k1).toMatchObject({ top1: 1 });
    expect(formatTaskResult(result)).toMatch(/knn, px-\d+, 24 pictures\n {5}100\.0 %|100\.0 % {2}k1\.top1/);
  });
});

describe('the workflow siglip2Evaluate', () => {
  const activities = () => {
    const deps = depsOf();
    return {
      planEvaluation: (input: unknown) => planEvaluation(deps, input, on.attempt()),
      embedPart: (input: Parameters<typeof embedPart>[1]) => embedPart(deps, input, on.attempt()),
      evaluatePart: (input: Parameters<typeof evaluatePart>[1]) => evaluatePart(deps, input, on.attempt()),
      drawSheet: (input: Parameters<typeof drawSheet>[1]) => drawSheet(deps, input, on.attempt()),
      concludeEvaluation: (input: Parameters<typeof concludeEvaluation>[1]) =>
        concludeEvaluation(deps, input, on.attempt()),
    };
  };

  it('gives that very file, and refuses what is no task by a sentence', async () => {
    await temporal.serving(activities(), async (client: Client) => {
      const said: string[] = [];
      const first = { model: name, task: parseTask(task({ name: 'by-workflow' })) };
      const result = await evaluate(client, first, (line) => said.push(line), 100);
      const own = (await store.get(result.key)).toString('utf8');
      // Another name, and so another place; of features nothing had to be made again.
      expect(own.replaceAll('by-workflow', 'styles').replaceAll(/"key": "[^"]+"/g, '')).toBe(
        whole.bytes.replaceAll(/"key": "[^"]+"/g, ''),
      );
      expect(result.figures).toMatchObject({ [`knn px-${model.vision.resolution}`]: { k5: {} } });
      const workflowId = evaluationId(first.model, first.task);
      await keepHistory(client, workflowId, 'evaluation.json');
      // Started again it answers with what is there; and so does a history after the first.
      expect(await evaluate(client, { ...first, model: folder }, () => {}, 100)).toEqual(result);
      const plan = await planEvaluation(depsOf(), first, on.attempt());
      const args = [first, { plan: { ...plan, done: false }, done: plan.parts.test }];
      const next = { taskQueue: 'siglip2', workflowId: 'next-evaluation', args };
      expect(await client.workflow.execute('siglip2Evaluate', next)).toEqual(result);
      await keepHistory(client, 'next-evaluation', 'evaluation-next-of-many.json');

      const problemOf = (id: string, ...args: unknown[]) =>
        client.workflow.execute('siglip2Evaluate', { taskQueue: 'siglip2', workflowId: id, args }).then(
          () => null,
          (error: WorkflowFailedError) => error.cause?.message,
        );
      expect(await problemOf('none', {})).toMatch(/^siglip2Evaluate takes \{"model": "RUN\/PHASE@STEP", "task"/);
      expect(await problemOf('two', first, 'more')).toMatch(/^siglip2Evaluate takes one JSON document/);
      expect(await problemOf('typo', { model: folder, task: task({ evaluators: { clip: {} } }) })).toMatch(
        /^the task can't be done: evaluators: .*allowed: zeroShot,/,
      );
      expect(await problemOf('gone', { model: 'nobody/pretrain@4', task: task() })).toMatch(
        /has no checkpoint nobody\/pretrain@4; npm run siglip2 -- ls nobody shows what is there/,
      );
      expect(await problemOf('views', { model: folder, task: task({ views: { patches: [64] } }) })).toMatch(
        /views\.patches is given, and the model sees squares; allowed: \{"resolutions"/,
      );
    });
  });
});
