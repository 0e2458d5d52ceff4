import { parseRecipe } from '../../src/recipe/parse.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';

const tower = (width: number, depth: number) => ({ width, depth, mlp: 4 * width, heads: 4 });
const distilling = { prototypes: 4096, hidden: 512 };

/** Phases small enough to measure, and unlike one another. */
const shapes = {
  demo: { width: 128, patch: 8, resolution: 32, precision: 'f32', phase: { batch: 256 } },
  wide: { width: 256, patch: 16, resolution: 224, precision: 'bf16', phase: { batch: 32 } },
  all: {
    width: 128,
    patch: 8,
    resolution: 64,
    precision: 'f32',
    phase: {
      batch: 64,
      objectives: {
        sigmoid: 1,
        captioning: {},
        localToGlobal: { ...distilling, views: 4 },
        maskedPrediction: distilling,
      },
    },
  },
} as const;
export type PeakShape = keyof typeof shapes;

export function peakSettings(name: PeakShape): PhaseSettings {
  const { width, patch, resolution, precision, phase } = shapes[name];
  const recipe = parseRecipe({
    version: 1,
    precision,
    model: {
      vision: { size: tower(width, 4), patch, resolution },
      text: { size: tower(width, 4), length: 16, vocabulary: 'compact' },
    },
    data: { train: 'train' },
    schedule: { total: { steps: 100 } },
    phases: [{ name: 'phase', ...phase }],
  });
  const vocabulary = Array.from({ length: 5000 }, (_, id) => id);
  return phaseSettings(recipe, recipe.phases[0]!, { examples: 10_000, vocabulary });
}
