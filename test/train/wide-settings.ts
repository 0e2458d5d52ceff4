import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { tinySettings } from './settings.ts';

/** A model whose activations weigh a hundred times its parameters: 6 blocks of 64 images of 196 patches. */
export const wideSettings: PhaseSettings = {
  ...tinySettings,
  model: {
    vision: { width: 64, depth: 6, mlp: 256, heads: 2, patch: 4, resolution: 56 },
    text: { width: 32, depth: 1, mlp: 64, heads: 2, length: 5, vocabulary: 9 },
  },
  batches: { ...tinySettings.batches, batch: 64, resolution: 56 },
};
