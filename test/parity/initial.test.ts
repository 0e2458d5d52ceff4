import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decoderSpecs } from '../../src/model/decoder-parameters.ts';
import { initialise } from '../../src/model/initialise.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';

interface Spread {
  readonly shape: readonly number[];
  /** Root of the mean square. */
  readonly deviation: number;
  readonly largest: number;
}

/** What flax draws for each parameter of big_vision's towers and decoder: see make_big_vision_fixtures.py. */
const facts = JSON.parse(readFileSync(new URL('fixtures/initial.json', import.meta.url), 'utf8')) as {
  readonly model: ModelConfig;
  readonly depth: number;
  readonly parameters: Readonly<Record<string, Spread>>;
};
const specs = [...parameterSpecs(facts.model), ...decoderSpecs(facts.model, facts)];

function spreadOf(values: Float32Array): Pick<Spread, 'deviation' | 'largest'> {
  let [squares, largest] = [0, 0];
  for (const value of values) {
    squares += value ** 2;
    largest = Math.max(largest, Math.abs(value));
  }
  return { deviation: Math.sqrt(squares / values.length), largest };
}

describe('the first values of parameters', () => {
  it('are of the same parameters as in big_vision', () => {
    const shapes = Object.entries(facts.parameters).map(([name, { shape }]) => [name, shape]);
    expect(Object.fromEntries(specs.map(({ name, shape }) => [name, shape]))).toEqual(Object.fromEntries(shapes));
  });

  it.each(specs.map((spec) => [spec.name, spec] as const))('of %s spread as those of flax do', (name, spec) => {
    const theirs = facts.parameters[name]!;
    const values = initialise(7, spec);
    const ours = spreadOf(values);
    if (theirs.deviation === theirs.largest) {
      // A constant, or a scalar.
      expect(ours.deviation).toBeCloseTo(theirs.deviation, 6);
      expect(ours.largest).toBeCloseTo(theirs.largest, 6);
      return;
    }
    // Four deviations of what chance makes of two samples of this size; that of a uniform draw moves less.
    const chance = 4 / Math.sqrt(values.length);
    expect(Math.abs(ours.deviation / theirs.deviation - 1)).toBeLessThan(chance);
    // 1.7 deviations of a uniform draw, 2.3 of a normal one that is cut, and 3 and more of a whole one.
    if (values.length < 700) return;
    const [out, wanted] = [ours.largest / ours.deviation, theirs.largest / theirs.deviation];
    if (wanted < 2.6) expect(Math.abs(out - wanted)).toBeLessThan(0.2);
    else expect(out).toBeGreaterThan(2.6);
  });
});
