import { afterAll, describe, expect, it } from 'vitest';
import { bias } from '../../../src/evaluate/evaluators/bias.ts';
import { calibration } from '../../../src/evaluate/evaluators/calibration.ts';
import type { EvaluatorInput, Figures } from '../../../src/evaluate/evaluators/contract.ts';
import { fewShot } from '../../../src/evaluate/evaluators/few-shot.ts';
import { groups } from '../../../src/evaluate/evaluators/groups.ts';
import type { FeatureSet } from '../../../src/evaluate/features/feature-set.ts';
import { intervalsOf } from '../../../src/evaluate/intervals.ts';
import { type Matrix, unitRows } from '../../../src/evaluate/numbers/matrix.ts';
import { flatFigures } from '../../../src/evaluate/result.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { load } from '../../metrics/fixtures/load.ts';
import { featureFiles } from '../feature-files.ts';

const files = featureFiles();
afterAll(() => files.close());
const fixture = load('classification');
const pause = async () => {};
const matrix = (rows: readonly (readonly number[])[]): Matrix => ({
  width: rows[0]!.length,
  rows: Float32Array.from(rows.flat()),
});
const input = (test: FeatureSet, changes: Partial<EvaluatorInput> = {}): EvaluatorInput => ({
  ...{ view: 32, test, train: null, classes: null, languages: ['en'], seed: 0, device: 'cpu', pause },
  ...changes,
});
const named = (names: readonly string[], rows: Matrix) => ({ classes: { names, rows } });

function noise(n: number, width: number, seed: number): number[][] {
  const stream = randomStream(seed, 'fairness');
  return Array.from({ length: n }, () => Array.from({ length: width }, () => stream.next() - 0.5));
}

const axes = (width: number) =>
  Array.from({ length: width }, (_, i) => Array.from({ length: width }, (_, k) => (k === i ? 1 : 0)));
const fewShotSettings = { shots: [10], seeds: 2, l2: 1024 };

describe('accuracy by groups', () => {
  const { hits, income, fairlearn } = fixture.groups as {
    hits: number[];
    income: string[];
    fairlearn: Record<string, number>;
  };
  // Two classes: a picture lies at its own text, or at that of the other class.
  const two = matrix(axes(2));
  const pictures = matrix(hits.map((hit) => (hit === 1 ? [1, 0] : [0, 1])));
  const concepts = hits.map(() => ['0']);

  it("has fairlearn's shares, gap and ratio, and an interval of each group", async () => {
    const test = await files.set({ pooled: pictures, concepts, groups: income.map((of) => ({ income: of })) });
    const { figures, outcomes } = await groups.evaluate(input(test, named(['a', 'b'], two)), {
      by: ['income'],
      top: 1,
    });
    const own = figures.income as Figures;
    for (const name of ['worst', 'gap', 'ratio']) expect(own[name], name).toBeCloseTo(fairlearn[`income_${name}`]!, 12);
    const by = own.by as Record<string, Figures>;
    expect(Object.keys(by)).toEqual([...new Set(income)].sort());
    for (const [group, { top1, examples }] of Object.entries(by)) {
      expect(top1).toBeCloseTo(fairlearn[`income/${group}`]!, 12);
      expect(examples).toBe(income.filter((one) => one === group).length);
    }
    const known = new Map(flatFigures(figures));
    for (const [name, { low, high }] of Object.entries(intervalsOf(outcomes))) {
      expect(low).toBeLessThanOrEqual(known.get(name)!);
      expect(high).toBeGreaterThanOrEqual(known.get(name)!);
    }
  });

  it('counts pictures that say no group apart, and refuses data of which none does', async () => {
    const some = income.map((of, i) => (i < 5 ? {} : { income: of }));
    const test = await files.set({ pooled: pictures, concepts, groups: some });
    const { figures } = await groups.evaluate(input(test, named(['a', 'b'], two)), { by: ['income'], top: 1 });
    expect((figures.income as Figures).ungrouped).toBe(5);
    await expect(groups.evaluate(input(test, named(['a', 'b'], two)), { by: ['region'], top: 1 })).rejects.toThrow(
      'no picture says which "region" it is of: its groups are income',
    );
  });

  it('is told by language where classes are called by captions', async () => {
    const test = await files.set({
      pooled: matrix([
        [1, 0],
        [0, 1],
        [1, 0],
      ]),
      concepts: [['cat'], ['owl'], ['owl']],
      groups: [{ region: 'x' }, { region: 'x' }, { region: 'y' }],
      captions: {
        de: {
          ...matrix([
            [1, 0],
            [0, 1],
            [0, 1],
          ]),
          of: [0, 1, 2],
        },
      },
    });
    const { figures } = await groups.evaluate(input(test, { languages: ['de'] }), { by: ['region'], top: 1 });
    expect(figures).toEqual({
      by_language: {
        de: {
          region: {
            ...{ groups: 2, worst: 0, gap: 1, ratio: 0 },
            by: { x: { top1: 1, examples: 2 }, y: { top1: 0, examples: 1 } },
          },
        },
      },
    });
  });
});

describe('few-shot geolocation', () => {
  const countries = ['Kenya', 'Laos', 'Peru', 'Samoa'];
  const of = Array.from({ length: 200 }, (_, i) => ({ country: countries[i % 4]! }));
  // What pictures show tells nothing of where.
  const concepts = of.map((_, i) => [`${i % 7}`]);

  it('finds the country where features tell it, and by chance where they do not', async () => {
    const told = noise(200, 8, 1).map((row, i) => row.map((value, k) => value / 10 + (k === i % 4 ? 1 : 0)));
    const sets = async (rows: number[][], seed: number) => ({
      train: await files.set({ pooled: matrix(rows), concepts, groups: of }),
      test: await files.set({
        pooled: matrix(noise(200, 8, seed).map((row, i) => (rows === told ? told[i]! : row))),
        concepts,
        groups: of,
      }),
    });
    const settings = { ...fewShotSettings, label: 'country' };
    const oracle = await sets(told, 2);
    const found = await fewShot.evaluate(input(oracle.test, { train: oracle.train }), settings);
    expect(found.figures.shots10).toMatchObject({ classes: 4, examples: 200, top1: 1 });
    const random = await sets(noise(200, 8, 3), 4);
    const { figures } = await fewShot.evaluate(input(random.test, { train: random.train }), settings);
    expect(Math.abs(((figures.shots10 as Figures).top1 as number) - 0.25)).toBeLessThan(0.1);
    const nowhere = await files.set({ pooled: matrix(told), concepts });
    for (const [train, test, which] of [
      [nowhere, oracle.test, 'train'],
      [oracle.train, nowhere, 'data'],
    ] as const)
      await expect(fewShot.evaluate(input(test, { train }), settings)).rejects.toThrow(
        `${which}: no picture says which "country" it is of: the JSON of examples has no groups`,
      );
    // Without a label it tells what pictures show, as before.
    const shown = await fewShot.evaluate(input(oracle.test, { train: oracle.train }), fewShotSettings);
    expect(shown.figures.shots10).toMatchObject({ classes: 7 });
    expect([fewShot.needs(true, settings), fewShot.needs(true, fewShotSettings)]).toEqual([
      { train: true, truth: true },
      { train: true },
    ]);
  });
});

describe('representation bias', () => {
  const classes = named(['male', 'female'], matrix(axes(2)));

  it('is the share that is nearer to the first text less one half, as in the paper', async () => {
    const pooled = matrix(Array.from({ length: 200 }, (_, i) => (i < 171 ? [2, 1] : [1, 2])));
    const test = await files.set({ pooled, concepts: Array(200).fill([]) });
    const { figures, outcomes } = await bias.evaluate(input(test, classes), {});
    expect(figures).toEqual({ examples: 200, representation_bias: expect.closeTo(0.355, 12) });
    const { low, high } = intervalsOf(outcomes).representation_bias!;
    // 1.96 standard errors of a share of 0.855 of 200 are 0.049.
    expect([low, high].map((end) => Math.abs(end - 0.355))).toEqual([
      expect.closeTo(0.049, 1),
      expect.closeTo(0.049, 1),
    ]);
  });

  it('is none where all pictures are as near to both, and next to none on noise', async () => {
    const same = await files.set({ pooled: matrix(Array(40).fill([1, 1])), concepts: Array(40).fill([]) });
    expect((await bias.evaluate(input(same, classes), {})).figures.representation_bias).toBe(0);
    const random = await files.set({ pooled: matrix(noise(1000, 2, 5)), concepts: Array(1000).fill([]) });
    const { figures } = await bias.evaluate(input(random, classes), {});
    expect(Math.abs(figures.representation_bias as number)).toBeLessThan(0.05);
    await expect(bias.evaluate(input(same, named(['a'], matrix([[1, 1]]))), {})).rejects.toThrow(
      'compares two texts, and classes.names has 1',
    );
  });
});

describe('calibration over classes', () => {
  const head = { logitScale: Math.log(20), logitBias: -10 };
  const settings = { over: 'classes', bins: 15 } as const;

  it("has torchmetrics' errors of the probabilities that the model gives", async () => {
    const { confidence, right, torchmetrics } = fixture.calibration as {
      confidence: number[];
      right: number[];
      torchmetrics: Record<string, number>;
    };
    // Two texts that lie opposite: the best one has the cosine that such a confidence comes from.
    const rows = confidence.map((one, i) => {
      const cosine = (Math.log(one / (1 - one)) + 10) / 20;
      return [right[i] ? cosine : -cosine, Math.sqrt(1 - cosine ** 2)];
    });
    const test = await files.set({ pooled: matrix(rows), concepts: rows.map(() => ['0']), head });
    const texts = matrix([
      [1, 0],
      [-1, 0],
    ]);
    const { figures, outcomes } = await calibration.evaluate(input(test, named(['a', 'b'], texts)), settings);
    const own = figures.sigmoid as Record<string, number>;
    for (const [name, value] of Object.entries(torchmetrics)) expect(own[name], name).toBeCloseTo(value, 5);
    expect(Object.keys(torchmetrics)).toContain('ece');
    expect(figures.top1).toBeCloseTo(right.reduce((sum, one) => sum + one, 0) / right.length, 12);
    const { values } = outcomes['sigmoid.overconfidence']!;
    expect(values.reduce((sum, one) => sum + one, 0) / values.length).toBeCloseTo(own.overconfidence!, 6);
  });

  it('is next to perfect for an oracle, by a softmax too, and off by all beyond chance on noise', async () => {
    const names = ['a', 'b', 'c', 'd'];
    const concepts = Array.from({ length: 400 }, (_, i) => [names[i % 4]!]);
    const texts = matrix(axes(4));
    const oracle = await files.set({
      pooled: matrix(concepts.map((_, i) => axes(4)[i % 4]!)),
      concepts,
      head: { logitScale: Math.log(100), logitBias: -50 },
    });
    const sure = await calibration.evaluate(input(oracle, named(names, texts)), settings);
    expect(sure.figures).toMatchObject({
      top1: 1,
      softmax: { ece: expect.closeTo(0, 9) },
      sigmoid: { ece: expect.closeTo(0, 9) },
    });
    const random = await files.set({ pooled: matrix(noise(400, 4, 8)), concepts, head });
    const { figures } = await calibration.evaluate(input(random, named(names, texts)), settings);
    const { overconfidence } = figures.softmax as Record<string, number>;
    expect(Math.abs((figures.top1 as number) - 0.25)).toBeLessThan(0.07);
    // By hand: the mean of the largest share of a softmax, less what is right.
    const unit = unitRows(matrix(noise(400, 4, 8)));
    let mean = 0;
    for (let i = 0; i < 400; i++) {
      const e = [0, 1, 2, 3].map((c) => Math.exp(20 * unit.rows[4 * i + c]!));
      mean += Math.max(...e) / (e[0]! + e[1]! + e[2]! + e[3]!) / 400;
    }
    expect(overconfidence).toBeCloseTo(mean - (figures.top1 as number), 5);
    expect(overconfidence).toBeGreaterThan(0.3);
  });

  it('asks for scale and bias of the model, which features of before do not say', async () => {
    expect(calibration.needs(true, settings)).toEqual({ classes: true, head: true });
    expect(calibration.needs(true, { over: 'pairs', bins: 15 })).toEqual({ captions: true, head: true });
    const test = await files.set({ pooled: matrix([[1, 0]]), concepts: [['0']] });
    await expect(calibration.evaluate(input(test, named(['a'], matrix([[1, 0]]))), settings)).rejects.toThrow(
      'do not say the scale and bias',
    );
  });
});

describe('calibration over pairs', () => {
  it('finds the cosine from which on most are right, as trying all of them does', async () => {
    const pooled = matrix(noise(60, 16, 9));
    const texts = noise(60, 16, 10).map((row, i) => row.map((value, k) => value + pooled.rows[16 * i + k]!));
    const rows = unitRows(matrix(texts));
    const test = await files.set({
      ...{ pooled, concepts: Array(60).fill([]), head: { logitScale: Math.log(10), logitBias: -5 } },
      captions: { en: { ...rows, of: Array.from({ length: 60 }, (_, i) => i) } },
    });
    const { figures } = await calibration.evaluate(input(test), { over: 'pairs', bins: 15 });
    const { threshold, probability_at_threshold, accuracy_at_threshold, share_right } = (
      figures.by_language as Record<string, Record<string, number>>
    ).en!;
    const images = unitRows(pooled);
    const cosines = Array.from({ length: 3600 }, (_, at) => {
      const [i, j] = [Math.floor(at / 60), at % 60];
      return {
        right: i === j,
        value: images.rows.slice(16 * i, 16 * i + 16).reduce((sum, one, k) => sum + one * rows.rows[16 * j + k]!, 0),
      };
    });
    const correct = (from: number) => cosines.filter(({ right, value }) => value >= from === right).length / 3600;
    const best = Math.max(...cosines.map(({ value }) => correct(value)));
    expect(accuracy_at_threshold).toBeCloseTo(best, 2);
    expect(correct(threshold!)).toBeCloseTo(best, 3);
    expect(share_right).toBeCloseTo(1 / 60, 12);
    expect(probability_at_threshold).toBeCloseTo(1 / (1 + Math.exp(-(10 * threshold! - 5))), 9);
  });
});
