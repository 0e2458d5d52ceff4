import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';

const emoji = JSON.parse(readFileSync(new URL('../../infra/recipes/emoji.json', import.meta.url), 'utf8'));
const still = { scale: [1, 1], shift: 0 };
const texts = { train: ['text', 'scaleAndBias'], frozenFeatures: 'kept' };
const written = (phase: object, data: object = { augment: still }) => ({
  ...emoji,
  data: { ...emoji.data, ...data },
  phases: [{ name: 'texts', batch: 64, ...phase }],
});
const settingsOf = (phase: object) => {
  const recipe = parseRecipe(written(phase));
  return phaseSettings(recipe, recipe.phases[0]!, { examples: 10_000, vocabulary: null });
};

function problemsOf(phase: object, data?: object): string {
  try {
    parseRecipe(written(phase, data));
    return 'none';
  } catch (error) {
    if (isRunnerError(error)) return error.message;
    throw error;
  }
}

describe('"frozenFeatures" of a phase', () => {
  it('is in its settings with what tells pictures apart; a recipe without, or with "online", is what it was', () => {
    const { frozenFeatures, batches } = settingsOf(texts);
    expect({ frozenFeatures, parts: batches.parts }).toEqual({ frozenFeatures: 'kept', parts: { pictures: {} } });
    const { frozenFeatures: _, ...plain } = texts;
    expect(settingsOf({ ...plain, frozenFeatures: 'online' })).toEqual(settingsOf(plain));
    expect(Object.keys(settingsOf(plain))).not.toContain('frozenFeatures');
    expect(settingsOf(plain).batches.parts).toBeUndefined();
    expect(settingsOf({ ...texts, positives: 'shared' }).batches.parts).toEqual({ groups: {}, pictures: {} });
  });

  it.each([
    [{ train: ['text', 'mapHead'] }, /the phase trains vision_model\.head\.\S+ of the image tower/],
    [{ train: undefined }, /the phase trains vision_model\.embeddings\.\S+ of the image tower/],
    [{ train: undefined, lora: { rank: 2 } }, /the phase trains \S+ of the image tower/],
    [{ objectives: { sigmoid: 1, captioning: {} } }, /captioning needs more of a picture than its embedding/],
    [{ vision: { naflex: { lengths: [16] } } }, /NaFlex shows a picture in another number of patches each time/],
    [
      { curation: { teacher: { run: 'large', phase: 'import' } } },
      /curation embeds its candidates with the model as it is at each step/,
    ],
    [{ replicas: { number: 2, steps: 5 } }, /each round of replicas begins with a model that is loaded anew/],
  ])('is refused in a sentence in a phase of %j', (phase, sentence) => {
    expect(problemsOf(texts)).toBe('none');
    const problem = problemsOf({ ...texts, ...phase });
    expect(problem).toMatch(sentence);
    expect(problem).toMatch(/frozenFeatures is "kept", and .*; allowed: "online", or leave it out/);
  });

  it('is allowed with adapters of the texts, and refused with pictures that are augmented', () => {
    expect(problemsOf({ frozenFeatures: 'kept', lora: { rank: 2, in: ['text'] } })).toBe('none');
    expect(problemsOf(texts, { augment: { scale: [0.8, 1], shift: 0 } })).toMatch(
      /"kept", and data\.augment shows a picture otherwise each time/,
    );
    expect(problemsOf(texts, { augment: { scale: [1, 1], shift: 0.1 } })).toMatch(/data\.augment shows a picture/);
  });
});
