import { describe, expect, it } from 'vitest';
import { respan, type Span } from '../../src/recipe/respan.ts';
import { batchAt, PhaseSteps } from '../../src/recipe/steps.ts';

const begins = { step: 40, examples: 640 };

/** Examples of the order that the steps from `from` to `to` take, one by one. */
function taken({ begins, offset, batch, skip }: Span, from: number, to: number): number[] {
  const steps = new PhaseSteps({ seed: 1, phase: 'p', batch, offset });
  const examples: number[] = [];
  for (let step = from; step < to; step++) {
    const { first, count } = steps.at(batchAt(step - begins.step, skip));
    for (let i = 0; i < count; i++) examples.push(first + i);
  }
  return examples;
}

describe('a phase whose batches change', () => {
  it.each([
    [8, 10, []],
    [8, 12, [3, 11]],
    [20, 7, [9]],
    [3, 1, [0, 1, 2, 6]],
    [16, 30, [25, 60]],
  ])(
    'to %i after %i steps takes each example of its order once, but those of batches left out %j',
    (batch, after, skip) => {
      const span: Span = { begins, offset: 5, batch: 16, to: { step: 100, examples: 640 + 60 * 16 }, skip };
      const at = { step: 40 + after, examples: 640 + after * 16 };
      const rest = respan(span, at, batch)!;
      const before = taken(span, 40, at.step);
      const later = taken(rest, at.step, rest.to.step);
      expect(later.length).toBe(rest.to.examples - at.examples);
      expect(rest.to.examples).toBeLessThanOrEqual(span.to.examples);
      expect(span.to.examples - rest.to.examples).toBeLessThan(batch);
      const all = [...before, ...later];
      expect(new Set(all).size).toBe(all.length);
      // Nothing of a batch that is left out, and nothing else is missing but what shares a batch with it.
      const out = new Set(skip.flatMap((left) => Array.from({ length: 16 }, (_, i) => 5 + left * 16 + i)));
      expect(all.filter((example) => out.has(example))).toEqual([]);
      const near = (k: number) => [...out].some((other) => Math.abs(other - k) < batch);
      const seen = new Set(all);
      for (let k = 5; k < Math.max(...all); k++) expect(seen.has(k) || out.has(k) || near(k)).toBe(true);
    },
  );

  it('changes nothing when the batch stays', () => {
    const span: Span = { begins, offset: 0, batch: 16, to: { step: 100, examples: 1600 }, skip: [30] };
    const rest = respan(span, { step: 50, examples: 800 }, 16)!;
    expect(rest.to).toEqual(span.to);
    expect(taken(rest, 50, 100)).toEqual(taken(span, 50, 100));
  });

  it('goes back below a change with as many examples behind it as it has seen', () => {
    const span: Span = { begins, offset: 0, batch: 16, to: { step: 100, examples: 1600 }, skip: [] };
    const rest = respan(span, { step: 60, examples: 960 }, 32)!;
    const again = respan(rest, { step: 50, examples: 800 }, 32)!;
    expect([again.offset, again.to]).toEqual([160, { step: 75, examples: 1600 }]);
  });

  it('is none when less than a batch is left', () => {
    const span: Span = { begins, offset: 0, batch: 16, to: { step: 100, examples: 1600 }, skip: [] };
    expect(respan(span, { step: 99, examples: 1584 }, 32)).toBe(null);
  });
});
