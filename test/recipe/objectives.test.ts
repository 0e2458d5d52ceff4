import { describe, expect, it } from 'vitest';
import { fullVocabulary, towerSizes } from '../../src/model/sizes.ts';
import { objectivesSchema, resolveObjectives } from '../../src/recipe/objectives.ts';

const resolved = (written: object, size: keyof typeof towerSizes | null, resolution = 256, patch = 16) =>
  resolveObjectives(
    objectivesSchema.parse(written),
    {
      vision: { ...towerSizes[size ?? 'B'], patch, resolution },
      text: { ...towerSizes.B, length: 64, vocabulary: fullVocabulary },
    },
    size,
  );

describe('the objectives of a phase', () => {
  it('of self-distillation weigh 1 to 0.25, times what the paper gives a size', () => {
    for (const [size, weight] of [
      ['B', 0.25],
      ['L', 0.5],
      ['So400m', 1],
      ['g-opt', 0.5],
      [null, 1],
    ] as const) {
      const { objectives } = resolved({ localToGlobal: {}, maskedPrediction: {} }, size);
      expect(objectives.localToGlobal!.weight).toBe(weight);
      expect(objectives.maskedPrediction!.weight).toBe(weight / 4);
    }
    expect(resolved({ maskedPrediction: { weight: 3 } }, 'L').objectives.maskedPrediction!.weight).toBe(3);
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
