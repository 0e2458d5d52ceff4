import { describe, expect, it } from 'vitest';
import { fullVocabulary, towerSizes } from '../../src/model/sizes.ts';
import { objectivesSchema, resolveObjectives } from '../../src/recipe/objectives.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';

const resolved = (written: object, size: keyof typeof towerSizes, resolution = 256, patch = 16) =>
  resolveObjectives(objectivesSchema.parse(written), {
    vision: { ...towerSizes[size], patch, resolution },
    text: { ...towerSizes.B, length: 64, vocabulary: fullVocabulary },
  });

describe('the objectives of a phase', () => {
  it('of self-distillation weigh 1 to 0.25, times what the paper gives a tower of that width', () => {
    const weights = { mu: 0.25, Ti: 0.25, S: 0.25, M: 0.25, B: 0.25, L: 0.5, So400m: 1, 'g-opt': 0.5 };
    expect(Object.keys(weights)).toEqual(Object.keys(towerSizes));
    for (const [size, weight] of Object.entries(weights) as [keyof typeof towerSizes, number][]) {
      const { objectives } = resolved({ localToGlobal: {}, maskedPrediction: {} }, size);
      expect(objectives.localToGlobal!.weight, size).toBe(weight);
      expect(objectives.maskedPrediction!.weight, size).toBe(weight / 4);
    }
    expect(resolved({ maskedPrediction: { weight: 3 } }, 'L').objectives.maskedPrediction!.weight).toBe(3);
  });

  it.each(Object.keys(towerSizes) as (keyof typeof towerSizes)[])('are those of %s for its numbers too', (size) => {
    const recipe = (vision: unknown) =>
      parseRecipe({
        version: 1,
        seed: 0,
        model: { vision: { size: vision, patch: 16, resolution: 64 }, text: { size: 'S', length: 8 } },
        data: { train: 'data/x' },
        optimizer: { learningRate: 1e-3 },
        schedule: { total: { steps: 10 }, warmup: { steps: 1 } },
        phases: [{ name: 'distill', batch: 8, objectives: { sigmoid: 1, localToGlobal: {}, maskedPrediction: {} } }],
      });
    const [named, numbers] = [recipe(size), recipe(towerSizes[size])].map((parsed) =>
      phaseSettings(parsed, parsed.phases[0]!, { examples: 100, vocabulary: null }),
    );
    expect(numbers).toEqual(named);
  });

  it('have the sizes of DINO and TIPS, and the arrays of a batch that go with them', () => {
    const { objectives, parts } = resolved({ sigmoid: 1, localToGlobal: {}, maskedPrediction: {} }, 'B');
    expect(objectives).toMatchObject({
      sigmoid: { weight: 1 },
      localToGlobal: { hidden: 2048, bottleneck: 256, prototypes: 65_536, views: 8, resolution: 96 },
      maskedPrediction: { hidden: 2048, bottleneck: 256, prototypes: 32_768, share: 0.5 },
    });
    expect(parts).toEqual({
      globalView: {},
      localViews: { views: 8, resolution: 96 },
      maskedPatches: { patches: 256, count: 128 },
    });
    expect(resolved({ localToGlobal: {} }, 'B', 224, 14).parts.localViews).toEqual({ views: 8, resolution: 84 });
    expect(resolved({ sigmoid: 1 }, 'B')).toEqual({ objectives: { sigmoid: { weight: 1 } }, parts: {} });
  });
});
