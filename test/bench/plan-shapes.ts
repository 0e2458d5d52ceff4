import { parseRecipe } from '../../src/recipe/parse.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import type { planNames } from './names.ts';

const tower = (width: number, depth: number) => ({ width, depth, mlp: 4 * width, heads: width / 32 });
const head = { prototypes: 8192, hidden: 512 };

export type PlanShapeName = (typeof planNames)[number];

interface PlanShape {
  readonly vision: object;
  readonly text: object;
  readonly precision?: 'f32' | 'bf16';
  /** Rows of the token table: at least those that the data use. */
  readonly rows?: number;
  readonly phase: { readonly batch: number; readonly [field: string]: unknown };
  /** Two threads meet their worst order late: the more steps, the closer to it. */
  readonly steps?: number;
}

const small = { vision: { size: tower(128, 4), patch: 8, resolution: 32 }, text: { size: tower(128, 2), length: 16 } };
const wide = { vision: { size: tower(256, 4), patch: 16, resolution: 224 }, text: { size: tower(256, 4), length: 16 } };

/**
 * Phases whose plans are held against what a trainer takes: what the parts of a plan are for, each large in one of them, on
 * a machine of 16 GB.
 */
export const planShapes = {
  emoji: { ...small, precision: 'bf16', phase: { batch: 256 } },
  w256: { ...wide, precision: 'bf16', rows: 8000, phase: { batch: 32 } },
  's16-accumulated': {
    vision: { size: 'S', patch: 16, resolution: 256 },
    text: { size: 'S', length: 64 },
    rows: 32_000,
    phase: { batch: 32, accumulate: 4 },
  },
  's16-remat': {
    vision: { size: 'S', patch: 16, resolution: 256 },
    text: { size: 'S', length: 64 },
    precision: 'bf16',
    rows: 32_000,
    phase: { batch: 32, remat: 'blocks' },
  },
  '4k': {
    ...small,
    vision: { size: tower(256, 4), patch: 16, resolution: 64 },
    text: { size: tower(256, 2), length: 16 },
    phase: { batch: 4096, accumulate: 16 },
    steps: 3,
  },
  '4k-whole': { ...small, precision: 'bf16', phase: { batch: 4096 }, steps: 3 },
  '32k': { ...small, precision: 'bf16', phase: { batch: 32_768, accumulate: 64 }, steps: 2 },
  '32k-distilled': {
    ...small,
    precision: 'bf16',
    phase: {
      batch: 32_768,
      accumulate: 128,
      objectives: { sigmoid: 1, localToGlobal: { ...head, views: 4, resolution: 16 } },
    },
    steps: 2,
  },
  distilled: {
    vision: { size: tower(256, 4), patch: 16, resolution: 224 },
    text: { size: tower(256, 2), length: 16 },
    phase: {
      batch: 16,
      objectives: { sigmoid: 1, localToGlobal: { ...head, views: 4 }, maskedPrediction: head },
    },
  },
  captioned: {
    ...wide,
    precision: 'bf16',
    rows: 32_000,
    phase: { batch: 64, accumulate: 2, objectives: { sigmoid: 1, captioning: {} } },
    steps: 8,
  },
  naflex: {
    ...wide,
    phase: { batch: 32, vision: { naflex: { lengths: [64, 256, 400], halveFrom: 400 } } },
    steps: 12,
  },
  acid: {
    ...wide,
    vision: { ...wide.vision, resolution: 64 },
    phase: { batch: 1024, accumulate: 8, curation: { teacher: 'teacher', scoring: 'online', overlap: true } },
    steps: 3,
  },
  'acid-32k': {
    ...small,
    precision: 'bf16',
    phase: { batch: 8192, accumulate: 16, curation: { teacher: 'teacher', scoring: 'online', overlap: true } },
    steps: 2,
  },
} as const satisfies Record<PlanShapeName, PlanShape>;

/** What is trained under a name, on these data. */
export function planSettings(
  name: PlanShapeName,
  { train, examples, vocabulary }: { train: string; examples: number; vocabulary: readonly number[] },
): { readonly settings: PhaseSettings; readonly steps: number } {
  const { vision, text, precision = 'f32', phase, rows = 0, steps = 4 }: PlanShape = planShapes[name];
  const curated = 'curation' in phase;
  const recipe = parseRecipe({
    version: 1,
    precision,
    model: { vision, text: { ...text, vocabulary: 'compact' } },
    data: { train },
    schedule: { total: { steps: 100 } },
    phases: [...(curated ? [{ name: 'teacher', batch: phase.batch }] : []), { name: 'phase', ...phase }],
  });
  // Ids that no text has fill the table up.
  const known = new Set(vocabulary);
  for (let id = 0; known.size < rows; id++) known.add(id);
  const facts = { examples, vocabulary: [...known].sort((a, b) => a - b) };
  const settings = phaseSettings(recipe, recipe.phases.at(-1)!, facts);
  if (!settings.curation) return { settings, steps };
  const teacher = { sha256: '', model: settings.model, logitScale: Math.log(10), logitBias: -10 };
  return { settings: { ...settings, curation: { ...settings.curation, teacher } }, steps };
}
