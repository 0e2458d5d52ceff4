import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';

/** A model of a few thousand parameters, with every kind of them. */
export const tinySettings: PhaseSettings = {
  phase: 'pretrain',
  seed: 11,
  precision: 'f32',
  accumulate: 1,
  remat: 'none',
  model: {
    vision: { width: 16, depth: 2, mlp: 24, heads: 2, patch: 4, resolution: 8 },
    text: { width: 12, depth: 1, mlp: 20, heads: 3, length: 5, vocabulary: 9 },
  },
  init: { temperature: 10, logitBias: -2 },
  objectives: { sigmoid: { weight: 1 } },
  optimizer: {
    learningRate: 1e-2,
    weightDecay: 1e-2,
    beta1: 0.9,
    beta2: 0.95,
    epsilon: 1e-8,
    clipNorm: 1,
    multipliers: { logit_bias: 10 },
  },
  teacher: { momentum: 0.9 },
  schedule: { total: 6 * 40, warmup: 6 * 4 },
  batches: {
    seed: 11,
    phase: 'pretrain',
    batch: 6,
    resolution: 8,
    textLength: 5,
    data: {
      train: 'data/tiny',
      captions: [{ language: 'en', weight: 1 }],
      labelShare: 1,
      augment: { scale: [1, 1], shift: 0 },
    },
    vocabulary: null,
  },
};
