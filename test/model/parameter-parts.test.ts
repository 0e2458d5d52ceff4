import { expect, it } from 'vitest';
import { partOf } from '../../src/model/parameter-parts.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { tinySettings } from '../train/settings.ts';
import { tinyObjectives } from '../train/tiny-objectives.ts';

it('every parameter of every objective is in a part of its name, and none is left over', () => {
  const { parameters } = phaseState({ ...tinySettings, objectives: tinyObjectives });
  const counts: Record<string, number> = {};
  for (const { name } of parameters) counts[partOf(name)] = (counts[partOf(name)] ?? 0) + 1;
  expect(counts).toEqual({
    patchEmbedding: 2,
    imagePositions: 1,
    // Two blocks of 16, one of 16, and the norm after them.
    imageBlocks: 2 * 16 + 2,
    mapHead: 1 + 2 + 2 + 2 + 4,
    tokenTable: 1,
    textPositions: 1,
    textBlocks: 16 + 2,
    textHead: 2,
    decoder: 2 + 13 + 2 + 2,
    // Seven of each head, and the mask token.
    heads: 15,
    scaleAndBias: 2,
  });
  expect(partOf('made_up.weight')).toBe('other');
  expect(partOf('vision_model.embeddings.patch_embedding.weight')).toBe('patchEmbedding');
});
