import { expect, it } from 'vitest';
import { modelDifferences } from '../../src/model/compare.ts';
import { fullVocabulary, type ModelConfig } from '../../src/model/sizes.ts';

const held: ModelConfig = {
  vision: { width: 384, depth: 6, mlp: 1536, heads: 6, patch: 16, resolution: 224 },
  text: { width: 384, depth: 6, mlp: 1536, heads: 6, length: 64, vocabulary: fullVocabulary },
};

it('two models differ in no field when only the rows of their token tables do', () => {
  const compact = { ...held, text: { ...held.text, vocabulary: 60 } };
  expect(modelDifferences(held, compact)).toEqual([]);
  expect(modelDifferences(held, { ...held, vision: { ...held.vision, kind: 'fixed' } })).toEqual([]);
});

it('every field that differs is named, and whether resampling leads from one to the other', () => {
  const wanted: ModelConfig = {
    vision: { width: 192, depth: 5, mlp: 768, heads: 12, patch: 32, resolution: 256, kind: 'naflex' },
    text: { width: 256, depth: 7, mlp: 512, heads: 8, length: 32, vocabulary: fullVocabulary },
  };
  const found = modelDifferences(held, wanted).map(({ field, ...rest }) => [field, ...Object.values(rest)]);
  expect(found).toEqual([
    ['vision.width', 384, 192, false],
    ['vision.depth', 6, 5, false],
    ['vision.mlp', 1536, 768, false],
    ['vision.heads', 6, 12, false],
    ['vision.patch', 16, 32, true],
    ['vision.resolution', 224, 256, true],
    ['vision.kind', 'fixed', 'naflex', true],
    ['text.width', 384, 256, false],
    ['text.depth', 6, 7, false],
    ['text.mlp', 1536, 512, false],
    ['text.heads', 6, 8, false],
    ['text.length', 64, 32, false],
  ]);
});
