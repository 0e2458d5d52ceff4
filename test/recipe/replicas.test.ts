import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { lanesOf, placeOf, roundEnd } from '../../src/recipe/lanes.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';

const emoji = JSON.parse(readFileSync(new URL('../../infra/recipes/emoji.json', import.meta.url), 'utf8'));
const written = (replicas: object, phase: object = {}) => ({
  ...emoji,
  phases: [{ ...emoji.phases[0], replicas, ...phase }],
});

function problemsOf(replicas: object, phase: object = {}): string {
  try {
    parseRecipe(written(replicas, phase));
    return 'none';
  } catch (error) {
    if (isRunnerError(error)) return error.message;
    throw error;
  }
}

describe('"replicas" of a phase', () => {
  it('are in its settings with every default, and a recipe without has none', () => {
    const facts = { examples: 10_000, vocabulary: null };
    const recipe = parseRecipe(written({ number: 4, steps: 100 }));
    expect(phaseSettings(recipe, recipe.phases[0]!, facts).replicas).toEqual({
      number: 4,
      steps: 100,
      outer: { rate: 0.7, momentum: 0.9, nesterov: true },
      exchange: 'int8',
      moments: 'averaged',
      negatives: 'local',
    });
    const plain = parseRecipe(emoji);
    expect(Object.keys(phaseSettings(plain, plain.phases[0]!, facts))).not.toContain('replicas');
  });

  it.each([
    [
      { number: 0, steps: 5 },
      /replicas\.number is 0; allowed: a whole number from 1 to 1000, or an object with least, most/,
    ],
    [{ number: 'all', steps: 5 }, /number is "all"; allowed: how many replicas, 1 to 1000, or {"least": 2, "most": 8}/],
    [{ number: 2 }, /replicas\.steps is missing; needed: a whole number above 0/],
    [{ number: 2, steps: 5, exchange: 'int2' }, /replicas\.exchange is "int2"; allowed: one of "f32", "bf16", "int8"/],
    [{ number: 2, steps: 5, quorum: 1 }, /replicas\.quorum is 1; it is allowed beside a deadline alone/],
    [
      { number: { least: 2, most: 4 }, steps: 5, quorum: 3, deadline: { minutes: 1 } },
      /replicas\.quorum is 3; at most the 2 replicas are allowed/,
    ],
    [{ number: { least: 5, most: 4 }, steps: 5 }, /replicas\.number is {"least":5,"most":4}; a least of at most the/],
    [
      { number: { least: 2, most: 4 }, steps: 5 },
      /one number is allowed without a deadline, since nobody is late then/,
    ],
    [
      { number: 2, steps: 5, negatives: 'queue' },
      /replicas\.negatives is "queue"; allowed: one of "local", "reweighted", "bank"/,
    ],
    [
      { number: { least: 2, most: 4 }, steps: 5, deadline: { minutes: 1 }, negatives: 'reweighted' },
      /replicas\.number is {"least":2,"most":4}; one number is allowed with reweighted negatives/,
    ],
    [
      { number: { least: 2, most: 4 }, steps: 5, deadline: { minutes: 1 }, negatives: 'bank' },
      /replicas\.number is {"least":2,"most":4}; one number is allowed with negatives of a bank/,
    ],
  ])('%j are refused in a sentence', (replicas, sentence) => {
    expect(problemsOf(replicas)).toMatch(sentence);
  });

  it.each([
    [
      { objectives: { captioning: { weight: 1 } } },
      /replicas\.negatives is about pairs, and the phase has no sigmoid loss; leave it/,
    ],
    [
      { negatives: 'distinct' },
      /replicas\.negatives is "bank", whose texts are all negatives, and negatives of the phase is "distinct"; allowed: "reweighted" or "local", or leave negatives out/,
    ],
    [{ positives: 'shared' }, /whose texts are all negatives, and positives of the phase is "shared"; allowed: "rew/],
    [
      { freeze: ['vision'] },
      /replicas\.negatives is "bank", which teaches images alone, and the phase trains nothing of the image tower; allowed: "reweighted" or "local"/,
    ],
  ])('with a bank are refused in a sentence in a phase of %j', (phase, sentence) => {
    expect(problemsOf({ number: 2, steps: 5, negatives: 'bank' })).toBe('none');
    expect(problemsOf({ number: 2, steps: 5, negatives: 'bank' }, phase)).toMatch(sentence);
  });
});

describe('the steps of a round', () => {
  it('are shared by lanes that follow one another: each batch is in one lane, and lanes differ by a step at most', () => {
    for (const slots of [1, 2, 3, 7, 64])
      for (const steps of [1, 2, 63, 64, 65, 100]) {
        const lanes = lanesOf({ from: 50, to: 50 + steps, slots });
        const dealt = lanes.flatMap(({ first, steps }) => Array.from({ length: steps }, (_, i) => first + i));
        expect(dealt).toEqual(Array.from({ length: steps }, (_, i) => 51 + i));
        const counts = lanes.map((lane) => lane.steps);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        expect(lanes.map(({ slot }) => slot)).toEqual(lanes.map((_, i) => i));
      }
  });

  it('stand on the schedule from the beginning of the round to its end in every lane', () => {
    const places = (slots: number, slot: number) => {
      const lane = lanesOf({ from: 100, to: 112, slots })[slot]!;
      return Array.from({ length: lane.steps }, (_, i) => placeOf(lane, i));
    };
    expect(places(1, 0)).toEqual([101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112]);
    expect(places(4, 0)).toEqual([101, 105, 109]);
    expect(places(4, 3)).toEqual([101, 105, 109]);
  });

  it('end at a branch, or with the phase', () => {
    expect(roundEnd(0, 20, 100, [])).toBe(20);
    expect(roundEnd(20, 20, 100, [20, 25])).toBe(25);
    expect(roundEnd(90, 20, 100, [25])).toBe(100);
  });
});
