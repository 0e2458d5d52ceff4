import { describe, expect, it } from 'vitest';
import { depth } from '../../src/metrics/depth.ts';
import { figuresOf } from '../../src/metrics/figure.ts';
import { labelsAt } from '../../src/metrics/mask-labels.ts';
import { normals } from '../../src/metrics/normals.ts';
import { segmentation } from '../../src/metrics/segmentation.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { expectFigures, load, valueIn } from './fixtures/load.ts';

const fixture = load('dense');
const pairs = ({ truth, predicted }: { truth: number[][]; predicted: number[][] }) =>
  truth.map((own, i) => ({ name: `${i}`, truth: own, predicted: predicted[i]! }));
const both = (truth: number[], predicted: number[]) => [{ name: 'one', truth, predicted }];

describe('segmentation', () => {
  const { classes, dinov3, sklearn, torchmetrics } = fixture.segmentation;

  it('is that of DINOv3, scikit-learn and torchmetrics: absent classes and ignored pixels count in nothing', () => {
    const found = figuresOf(segmentation({ classes, names: ['a'] }), pairs(fixture.segmentation));
    expectFigures(found, { dinov3, sklearn, torchmetrics });
    expect(found.map(({ name, of }) => [name, of]).slice(0, 3)).toEqual([
      ['mIoU', 5],
      ['acc', 4],
      ['dice', 5],
    ]);
    expect(valueIn(found, 'ignored')).toBe(fixture.segmentation.truth.flat().filter((is: number) => is === 255).length);
    expect(found.find(({ name }) => name === 'IoU/a')!.of).toBeGreaterThan(0);
  });

  it('of one picture all of whose pixels are ignored is null, and of an oracle 1', () => {
    const none = figuresOf(segmentation({ classes: 3 }), both([255, 255], [0, 1]));
    expect(none.map(({ value }) => value)).toEqual([null, null, null, null, null, 2]);
    const oracle = figuresOf(segmentation({ classes: 3 }), both([0, 2, 2], [0, 2, 2]));
    expect(oracle.map(({ value }) => value)).toEqual([1, 1, 1, 1, 1]);
  });

  it('of a drawn model is chance: one in twice the classes less one', () => {
    const stream = randomStream(3, 'masks');
    const drawn = () => Uint8Array.from({ length: 60_000 }, () => stream.below(10));
    const found = figuresOf(segmentation({ classes: 10 }), [{ name: 'drawn', truth: drawn(), predicted: drawn() }]);
    expect(Math.abs(valueIn(found, 'mIoU')! - 1 / 19)).toBeLessThan(0.003);
    expect(Math.abs(valueIn(found, 'aAcc')! - 1 / 10)).toBeLessThan(0.005);
  });

  it('refuses masks of another size and classes that are none, and then counts nothing', () => {
    const sums = new Float64Array(segmentation({ classes: 3 }).width);
    const tally = (truth: number[], predicted: number[]) => () =>
      segmentation({ classes: 3 }).tally({ name: 'cat.png', truth, predicted }, sums);
    expect(tally([0, 1], [0])).toThrow('"cat.png" can\'t be counted: the prediction has 1 values, and 2 are needed');
    expect(tally([0, 7], [0, 1])).toThrow('its mask has class 7; there are 3, ignored: 255');
    expect(tally([0, 1], [0, 3])).toThrow('class 3 was predicted; there are 3');
    expect(tally([0, 1], [0, Number.NaN])).toThrow('class NaN was predicted');
    expect([...sums].every((sum) => sum === 0)).toBe(true);
  });

  it('takes labels at the size of the mask from coarse scores as PyTorch interpolates them, larger and smaller', () => {
    const { height, width, classes: C, scores, labels } = fixture.grid;
    for (const [size, expected] of Object.entries(labels)) {
      const [h, w] = size.split('x').map(Number) as [number, number];
      expect([...labelsAt(Float32Array.from(scores), { height, width }, C, { height: h, width: w })], size).toEqual(
        expected,
      );
    }
    expect([...labelsAt(Float32Array.of(1, 1), { height: 1, width: 1 }, 2, { height: 1, width: 2 })]).toEqual([0, 0]);
  });
});

describe('depth', () => {
  it('by picture is that of DINOv3 and Probe3D, and over all pixels that of scikit-learn and NumPy', () => {
    expectFigures(figuresOf(depth(), pairs(fixture.depth)), fixture.depth.image);
    expectFigures(figuresOf(depth({ average: 'pixel' }), pairs(fixture.depth)), fixture.depth.pixel);
  });

  it('counts a picture without known depth apart, draws predictions into the range, and refuses NaN', () => {
    const found = figuresOf(depth(), [...both([0, Number.NaN, 11], [1, 1, 1]), ...both([2, 10], [2, 99])]);
    expect(valueIn(found, 'without_truth')).toBe(1);
    expect([valueIn(found, 'rmse'), valueIn(found, 'silog'), valueIn(found, 'a1')]).toEqual([0, 0, 1]);
    expect(figuresOf(depth(), []).every(({ value }) => value === null)).toBe(true);
    expect(() => figuresOf(depth(), both([1], [Number.NaN]))).toThrow(
      'the predicted depth: 1 of 1 values are not finite',
    );
    expect(() => depth({ least: 0 })).toThrow('the range 0 to 10 must rise from above 0');
  });

  it('of a prediction that is twice as far everywhere has no scale-invariant error', () => {
    const found = figuresOf(depth(), both([1, 2, 4], [2, 4, 8]));
    expect(valueIn(found, 'silog')).toBeLessThan(1e-5);
    expect(valueIn(found, 'abs_rel')).toBe(1);
  });
});

describe('normals', () => {
  it('by picture are those of Probe3D, and over all pixels those of scikit-learn', () => {
    expectFigures(figuresOf(normals(), pairs(fixture.normals)), { probe3d: fixture.normals.image });
    expectFigures(figuresOf(normals({ average: 'pixel' }), pairs(fixture.normals)), { sklearn: fixture.normals.pixel });
  });

  it('of a drawn model are 90 degrees off in the mean, and of an oracle none', () => {
    const stream = randomStream(4, 'normals');
    const drawn = () => Float32Array.from({ length: 90_000 }, () => stream.normal());
    const truth = drawn();
    expect(
      Math.abs(valueIn(figuresOf(normals(), [{ name: 'drawn', truth, predicted: drawn() }]), 'mean')! - 90),
    ).toBeLessThan(1);
    const oracle = figuresOf(normals(), [{ name: 'oracle', truth, predicted: truth.map((side) => 2 * side) }]);
    expect(valueIn(oracle, 'rmse')).toBeLessThan(1e-6);
  });

  it('of no direction are 90 degrees off; pixels without truth count in nothing', () => {
    const found = figuresOf(normals(), [
      ...both([0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 2, 3]),
      ...both([0, 0, 0], [1, 0, 0]),
    ]);
    expect([valueIn(found, 'mean'), valueIn(found, 'rmse'), valueIn(found, 'without_truth')]).toEqual([90, 90, 1]);
    expect(valueIn(figuresOf(normals(), both([0, 0, 2], [0, 0, 1])), 'within_11.25')).toBe(1);
    expect(() => figuresOf(normals(), both([0, 0, 1], [0, Number.NaN, 1]))).toThrow('not finite');
  });
});
