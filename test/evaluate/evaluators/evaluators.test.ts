import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EvaluatorInput, Figures } from '../../../src/evaluate/evaluators/contract.ts';
import { drawn, fewShot, ridge, scaled, scales } from '../../../src/evaluate/evaluators/few-shot.ts';
import { knn } from '../../../src/evaluate/evaluators/knn.ts';
import { linearPlaces } from '../../../src/evaluate/evaluators/linear-places.ts';
import { learn, logistic } from '../../../src/evaluate/evaluators/logistic.ts';
import { retrieval } from '../../../src/evaluate/evaluators/retrieval.ts';
import { zeroShot } from '../../../src/evaluate/evaluators/zero-shot.ts';
import type { FeatureSet } from '../../../src/evaluate/features/feature-set.ts';
import { type Matrix, takeRows, unitRows } from '../../../src/evaluate/numbers/matrix.ts';
import { shareAmong } from '../../../src/evaluate/numbers/places.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { featureFiles } from '../feature-files.ts';

interface Probe {
  readonly top1: number;
  readonly weights: number[];
}

/** Made by scikit-learn and CLIP_benchmark: ../fixtures/make_evaluators.py. */
const fixture = JSON.parse(readFileSync(new URL('../fixtures/evaluators.json', import.meta.url), 'utf8')) as {
  width: number;
  classes: number;
  train: { rows: number[]; labels: number[] };
  test: { rows: number[]; labels: number[]; several: number[][] };
  texts: number[];
  zero_shot: Record<string, number>;
  knn: Record<string, { top1: number; mean_per_class: number }>;
  few_shot: Record<string, Probe & { chosen: number[]; l2: number }>;
  logistic: Record<string, Probe & { top5: number; loss: number }>;
};
const { width, classes } = fixture;
const matrix = (rows: readonly number[]): Matrix => ({ width, rows: Float32Array.from(rows) });
const files = featureFiles();
const pause = async () => {};
const names = Array.from({ length: classes }, (_, i) => `class ${i}`);
const named = { names, rows: matrix(fixture.texts) };
const labelsOf = (labels: readonly number[]) => labels.map((label) => [String(label)]);

let test: FeatureSet;
let train: FeatureSet;
const input = (changes: Partial<EvaluatorInput> = {}): EvaluatorInput => ({
  ...{ view: 32, test, train, classes: named, languages: ['en'], seed: 0, device: 'cpu', pause },
  ...changes,
});

beforeAll(async () => {
  test = await files.set({ pooled: matrix(fixture.test.rows), concepts: labelsOf(fixture.test.labels) });
  train = await files.set({ pooled: matrix(fixture.train.rows), concepts: labelsOf(fixture.train.labels) });
});
afterAll(() => files.close());

describe('zero-shot classification', () => {
  it('has the figures of CLIP_benchmark and scikit-learn', async () => {
    const { figures, notes, outcomes } = await zeroShot.evaluate(input(), { top: [1, 5] });
    const { top1, top5, mean_per_class } = fixture.zero_shot;
    expect(figures).toMatchObject({ classes, examples: 120, left_out: 0, chance: expect.closeTo(1 / 7, 12) });
    expect(figures.top1).toBeCloseTo(top1!, 12);
    expect(figures.top5).toBeCloseTo(top5!, 12);
    expect(figures.mean_per_class).toBeCloseTo(mean_per_class!, 12);
    expect(notes).toEqual([]);
    const { values, pictures } = outcomes.top1!;
    expect(values.reduce((sum, hit) => sum + hit, 0) / values.length).toBeCloseTo(top1!, 6);
    expect([...pictures]).toEqual(Array.from({ length: 120 }, (_, i) => i));
  });

  it('counts any of several labels, and leaves out, counts and names what it has no text for', async () => {
    const concepts = fixture.test.several.map((own) => own.map((label) => `class ${label}`));
    const several = await files.set({ pooled: matrix(fixture.test.rows), concepts });
    const { figures } = await zeroShot.evaluate(input({ test: several }), { top: [1] });
    expect(figures.top1).toBeCloseTo(fixture.zero_shot.several_top1!, 12);
    expect(figures.chance).toBeCloseTo(concepts.flat().length / 120 / 7, 12);

    const odd = concepts.map((own, i) => (i < 3 ? ['a gnu'] : i < 5 ? [] : own));
    const left = await files.set({ pooled: matrix(fixture.test.rows), concepts: odd });
    const { figures: fewer, notes } = await zeroShot.evaluate(input({ test: left }), { top: [1] });
    expect(fewer).toMatchObject({ examples: 115, left_out: 5 });
    expect(notes).toEqual([
      '2 pictures have no label: left out',
      '3 pictures of 1 class have no text, such as "a gnu": left out',
    ]);
  });

  it('finds all by the features of their own texts, and nothing beyond chance where all are at one point', async () => {
    const rows = unitRows(matrix(fixture.texts));
    const oracle = await files.set({ pooled: rows, concepts: names.map((name) => [name]) });
    expect((await zeroShot.evaluate(input({ test: oracle }), { top: [1] })).figures).toMatchObject({ top1: 1 });
    const point = { width, rows: new Float32Array(rows.rows.length).fill(0.5) };
    const collapsed = await files.set({ pooled: point, concepts: names.map((name) => [name]) });
    const all = { ...input({ test: collapsed }), classes: { names, rows: unitRows(point) } };
    // Ties count against the model.
    expect((await zeroShot.evaluate(all, { top: [1, 5] })).figures).toMatchObject({ top1: 0, top5: 0 });
  });

  it('calls classes by the first caption of their first example where the task names none', async () => {
    const of = fixture.test.labels.map((_, i) => i);
    const rows = Float32Array.from(fixture.test.labels.flatMap((label) => [...takeRows(named.rows, [label]).rows]));
    const captions = { en: { width, rows, of }, de: { width, rows: new Float32Array(), of: [] } };
    const own = await files.set({
      pooled: matrix(fixture.test.rows),
      concepts: labelsOf(fixture.test.labels),
      captions,
    });
    const found = await zeroShot.evaluate(input({ test: own, classes: null, languages: ['en', 'de'] }), { top: [1] });
    const { en, de } = found.figures.by_language as Record<string, Figures>;
    expect(en).toMatchObject({ classes, examples: 120, top1: expect.closeTo(fixture.zero_shot.top1!, 12) });
    expect(de).toEqual({ classes: 0, examples: 0, left_out: 120 });
    expect(found.notes[0]).toMatch(/^de: 120 pictures of 7 classes have no text, such as "/);
  });
});

describe('retrieval', () => {
  const known = JSON.parse(readFileSync(new URL('../fixtures/retrieval.json', import.meta.url), 'utf8')) as {
    width: number;
    images: number[];
    texts: number[];
    image_of_text: number[];
    figures: Record<string, number>;
  };

  it('has the figures of CLIP_benchmark, per language and as a mean', async () => {
    const of = known.image_of_text;
    const texts = { width: known.width, rows: Float32Array.from(known.texts), of };
    const count = known.images.length / known.width;
    const first = { width: known.width, rows: texts.rows.slice(0, known.width), of: [0] };
    const set = await files.set({
      pooled: { width: known.width, rows: Float32Array.from(known.images) },
      concepts: Array.from({ length: count }, () => ['x']),
      captions: { en: texts, de: first },
      examplesOfPart: 7,
    });
    const { figures, notes, outcomes } = await retrieval.evaluate(input({ test: set, languages: ['en', 'de'] }), {
      top: [1, 5, 10],
    });
    const { en, de } = figures.by_language as Record<string, Record<'image_to_text' | 'text_to_image', Figures>>;
    for (const k of [1, 5, 10]) {
      expect(en!.image_to_text[`r${k}`]).toBeCloseTo(known.figures[`text_retrieval_recall@${k}`]!, 6);
      expect(en!.text_to_image[`r${k}`]).toBeCloseTo(known.figures[`image_retrieval_recall@${k}`]!, 6);
      const mean = (figures.mean as typeof en)!.image_to_text[`r${k}`];
      expect(mean).toBeCloseTo(
        ((en!.image_to_text[`r${k}`] as number) + (de!.image_to_text[`r${k}`] as number)) / 2,
        12,
      );
    }
    expect(de).toMatchObject({ images: 40, texts: 1, left_out: 39, image_to_text: { r1: 1, chance_r1: 1 } });
    expect(notes).toEqual(['39 of 40 pictures have no caption in de: no text is right for them']);
    expect([...outcomes['by_language.en.text_to_image.r1']!.pictures]).toEqual(of);
  });

  it('counts an equal caption of another picture against the model', async () => {
    const pooled = { width: 2, rows: Float32Array.of(1, 0, 0, 1, 1, 1) };
    const rows = unitRows({ width: 2, rows: Float32Array.of(1, 0, 1, 0, 1, 1) }).rows;
    const captions = { en: { width: 2, rows, of: [0, 1, 2] } };
    const set = await files.set({ pooled, concepts: [['a'], ['b'], ['c']], captions });
    const { figures } = await retrieval.evaluate(input({ test: set }), { top: [1, 2] });
    const { en } = figures.by_language as Record<string, Record<string, Figures>>;
    // The first picture's text is no nearer than its twin; the second's is behind both others.
    expect(en!.image_to_text).toMatchObject({ r1: expect.closeTo(1 / 3, 12), r2: expect.closeTo(2 / 3, 12) });
    expect(en!.text_to_image).toMatchObject({ r1: expect.closeTo(2 / 3, 12), r2: expect.closeTo(2 / 3, 12) });
  });
});

describe('neighbours', () => {
  it('vote as those of scikit-learn with the weights of DINO', async () => {
    const { figures } = await knn.evaluate(input(), { k: [3, 10, 20], temperature: 0.07 });
    for (const [k, { top1, mean_per_class }] of Object.entries(fixture.knn)) {
      const own = figures[k] as Figures;
      expect(own.top1).toBeCloseTo(top1, 12);
      expect(own.mean_per_class).toBeCloseTo(mean_per_class, 12);
    }
  });

  it('find every picture that is in train too', async () => {
    const { figures } = await knn.evaluate(input({ test: train }), { k: [1], temperature: 0.07 });
    expect(figures.k1).toMatchObject({ top1: 1, mean_per_class: 1 });
  });

  it('have no vote where they have no label, however many of them are nearest', async () => {
    const settings = { k: [3, 10], temperature: 0.07 };
    const rows = [...fixture.test.rows, ...fixture.train.rows];
    const concepts = [...fixture.test.labels.map(() => []), ...labelsOf(fixture.train.labels)];
    const mixed = await files.set({ pooled: matrix(rows), concepts });
    const { figures, notes } = await knn.evaluate(input({ train: mixed }), settings);
    expect(figures).toEqual((await knn.evaluate(input(), settings)).figures);
    expect(notes).toEqual(['train: 120 pictures have no label: not learned from']);
  });
});

describe('the few-shot probe', () => {
  it.each(Object.keys(fixture.few_shot))(
    'is the ridge regression of scikit-learn with %s than features',
    async (of) => {
      const { chosen, l2, weights, top1 } = fixture.few_shot[of]!;
      const from = takeRows(await train.pooled(32), chosen);
      const labels = Int32Array.from(chosen, (i) => fixture.train.labels[i]!);
      const { mean, deviation } = scales(from);
      const probe = ridge(scaled(from, mean, deviation), labels, classes, l2);
      const kernel = weights.slice(0, width * classes);
      for (const [i, value] of kernel.entries()) expect(probe.weights[i]).toBeCloseTo(value, 6);
      for (let c = 0; c < classes; c++) expect(probe.biases[c]).toBeCloseTo(100 * weights[width * classes + c]!, 4);
      const own = fixture.test.labels.map((label) => [label]);
      const places = await linearPlaces(scaled(await test.pooled(32), mean, deviation), probe, own, pause);
      expect(shareAmong(places, 1)).toBeCloseTo(top1, 12);
    },
  );

  it('learns from so many of each class, by the seed, and says where there are fewer', async () => {
    const labels = Int32Array.from(fixture.train.labels);
    const { chosen, short } = drawn(labels, classes, 4, 1);
    expect(short).toBe(0);
    expect(chosen.map((i) => labels[i])).toEqual(Array.from({ length: 28 }, (_, i) => Math.floor(i / 4)));
    expect(drawn(labels, classes, 4, 1).chosen).toEqual(chosen);
    expect(drawn(labels, classes, 4, 2).chosen).not.toEqual(chosen);
    const { figures, notes } = await fewShot.evaluate(input(), { shots: [4, 60], seeds: 3, l2: 1024 });
    // The draws depend on the seed, also where all of the pictures are looked at.
    const settings = { shots: [4], seeds: 3, l2: 1024 };
    expect(fewShot.protocol(settings, 1)).not.toEqual(fewShot.protocol(settings, 2));
    const { shots4, shots60 } = figures as Record<string, Record<string, number>>;
    expect(notes).toEqual(['7 classes have fewer than 60 examples in train: all of them are taken']);
    // All of train is what the other tool learned from.
    expect(shots60).toMatchObject({ top1: expect.closeTo(fixture.few_shot.more_rows!.top1, 12), deviation: 0 });
    expect(shots4!.top1).toBeGreaterThan(1 / classes);
    expect(shots4!.deviation).toBeGreaterThan(0);
  });
});

describe('the logistic probe', () => {
  it.each(['0.01', '1.0'])('comes to the minimum of scikit-learn at c %s', async (c) => {
    const { top1, top5, loss, weights } = fixture.logistic[c]!;
    const settings = { c: Number(c), features: 'standard', iterations: 1000 } as const;
    const { figures, notes } = await logistic.evaluate(input(), settings);
    expect(notes).toEqual([]);
    expect(figures.train_loss).toBeCloseTo(loss, 6);
    expect(figures.top1).toBeCloseTo(top1, 12);
    expect(figures.top5).toBeCloseTo(top5, 12);
    const from = await train.pooled(32);
    const { mean, deviation } = scales(from);
    const { probe } = await learn(
      scaled(from, mean, deviation),
      Int32Array.from(fixture.train.labels),
      classes,
      settings,
      pause,
    );
    for (const [i, value] of weights.entries()) expect(Math.abs(probe.weights[i]! - value)).toBeLessThan(2e-3);
  });

  it('says that it had not come to rest', async () => {
    const { notes } = await logistic.evaluate(input(), { c: 100, features: 'raw', iterations: 2 });
    expect(notes).toEqual(['the probe had not come to rest after 2 steps: raise logistic.iterations, or lower c']);
  });
});

describe('features that say nothing', () => {
  it('give every evaluator chance', async () => {
    const random = randomStream(3, 'noise');
    const noise = (n: number) => matrix(Array.from({ length: n * width }, () => random.normal()));
    const labels = (n: number) => Array.from({ length: n }, () => [String(random.below(2))]);
    const [few, many] = [200, 400];
    const own = { width, rows: unitRows(noise(2)).rows };
    const blind = input({
      test: await files.set({ pooled: noise(many), concepts: labels(many) }),
      train: await files.set({ pooled: noise(few), concepts: labels(few) }),
      classes: { names: ['0', '1'], rows: own },
    });
    const figures = [
      (await zeroShot.evaluate(blind, { top: [1] })).figures.top1,
      ((await knn.evaluate(blind, { k: [20], temperature: 0.07 })).figures.k20 as Figures).top1,
      ((await fewShot.evaluate(blind, { shots: [50], seeds: 3, l2: 1024 })).figures.shots50 as Figures).top1,
      (await logistic.evaluate(blind, { c: 1, features: 'standard', iterations: 100 })).figures.top1,
    ];
    // Three deviations of 400 throws of a coin.
    for (const one of figures) expect(Math.abs((one as number) - 0.5)).toBeLessThan(0.075);
  });
});
