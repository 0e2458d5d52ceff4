import { describe, expect, it } from 'vitest';
import { accuracy } from '../../../src/evaluate/evaluators/accuracy.ts';
import { placeOf } from '../../../src/evaluate/numbers/places.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { load } from '../../metrics/fixtures/load.ts';

const { classes, scores, labels, several, figures } = load('classification') as {
  classes: number;
  scores: number[];
  labels: number[];
  several: number[];
  figures: { single: Record<string, Record<string, number>>; multi: Record<string, number> };
};
const found = (all: ArrayLike<number>, right: readonly (readonly number[])[], of: number, top: readonly number[]) =>
  accuracy(
    {
      places: Int32Array.from(right, (own, i) => (own.length === 0 ? -1 : placeOf(all, own, i * of, of))),
      labels: right,
      classes: of,
    },
    top,
  );

describe('accuracy', () => {
  it('and recall of classes are those of scikit-learn, torchmetrics and pandas; a class without an example counts in none', () => {
    const own = found(
      Float32Array.from(scores),
      labels.map((label) => [label]),
      classes,
      [1, 5],
    );
    const names = { acc1: 'top1', acc5: 'top5', mean_per_class_recall: 'mean_per_class' };
    let compared = 0;
    for (const [tool, values] of Object.entries(figures.single))
      for (const [theirs, ours] of Object.entries(names)) {
        if (values[theirs] === undefined) continue;
        expect(own[ours], `${tool} ${theirs}`).toBeCloseTo(values[theirs], 6);
        compared++;
      }
    expect(compared).toBeGreaterThan(4);
    expect(own).toMatchObject({ examples: 90, left_out: 0 });
  });

  it('with several labels counts a hit on any of them, and leaves out pictures without one', () => {
    const right = labels.map((_, i) =>
      [...several.slice(i * classes, (i + 1) * classes).entries()].flatMap(([k, is]) => (is ? [k] : [])),
    );
    const own = found(Float32Array.from(scores), right, classes, [1]);
    expect(own.top1).toBeCloseTo(figures.multi.any_right!, 12);
    expect(own.left_out).toBe(figures.multi.unlabelled);
  });

  it('of a model that says the same of all is nothing, since ties count against it', () => {
    expect(found([1, 1, 1, 1, 1, 1], [[0], [2]], 3, [1, 2])).toMatchObject({ top1: 0, top2: 0 });
  });

  it('is chance for a drawn model and 1 for an oracle', () => {
    const stream = randomStream(1, 'drawn');
    const drawn = Array.from({ length: 40_000 }, () => stream.next());
    const right = Array.from({ length: 4000 }, (_, i) => [i % 10]);
    const { top1, top5, chance } = found(drawn, right, 10, [1, 5]) as Record<string, number>;
    expect(chance).toBeCloseTo(0.1, 12);
    // Three standard errors.
    expect(Math.abs(top1! - 0.1)).toBeLessThan(3 * Math.sqrt(0.09 / 4000));
    expect(Math.abs(top5! - 0.5)).toBeLessThan(3 * Math.sqrt(0.25 / 4000));
    const oracle = drawn.map((_, at) => (at % 10 === Math.floor(at / 10) % 10 ? 1 : 0));
    expect(found(oracle, right, 10, [1, 5])).toMatchObject({ top1: 1, top5: 1, mean_per_class: 1 });
  });
});
