import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type SizeName, textSizeFor } from '../../src/model/sizes.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import type { Recipe, RecipeModel } from '../../src/recipe/schema.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import type { StepName, TraceName } from './names.ts';

/** Beside those of `npm run bench` by itself: what a GPU is for, and what is for nothing but to see that all runs. */
export type ShapeName = StepName | 'step/b16' | 'step/tiny';

type Modelled = Recipe & { readonly model: RecipeModel };
type Tower = RecipeModel['vision']['size'];
interface Shape {
  readonly size: Tower;
  readonly patch: number;
  readonly resolution: number;
  readonly batch: number;
  readonly length: number;
  readonly vocabulary: number;
  /** Where that of the emoji, which begins without a warm-up here, is too fast: B/16 in PyTorch's bf16 became NaN. */
  readonly learningRate?: number;
}

/** Both towers have one size. 196 and 256 patches: shapes that fit a CPU, one wide and short, one of S/16's own. */
const shapes: Readonly<Partial<Record<ShapeName, Shape>>> = {
  'step/vit-w256-d4': {
    size: { width: 256, depth: 4, mlp: 1024, heads: 4 },
    patch: 16,
    resolution: 224,
    batch: 32,
    length: 16,
    vocabulary: 8_000,
  },
  'step/s16': { size: 'S', patch: 16, resolution: 256, batch: 8, length: 64, vocabulary: 32_000 },
  'step/b16': {
    size: 'B',
    patch: 16,
    resolution: 256,
    batch: 64,
    length: 64,
    vocabulary: 32_000,
    learningRate: 1e-5,
  },
  'step/tiny': {
    size: { width: 16, depth: 1, mlp: 32, heads: 2 },
    patch: 8,
    resolution: 16,
    batch: 4,
    length: 8,
    vocabulary: 50,
  },
};

/** About what the English captions of the emoji data use. */
const emojiVocabulary = 5_200;

export const precisionOf = (variant: string) => (variant.startsWith('bf16') ? 'bf16' : 'f32');

export function readEmojiRecipe(): Modelled {
  const file = fileURLToPath(new URL('../../infra/recipes/emoji.json', import.meta.url));
  return parseRecipe(JSON.parse(readFileSync(file, 'utf8'))) as Modelled;
}

/** What is trained under a name. The learning rate is constant, so that a peer needs no schedule. */
export function stepSettings(name: ShapeName, precision: 'f32' | 'bf16'): PhaseSettings {
  const emoji = readEmojiRecipe();
  const shape = shapes[name];
  const recipe = shape === undefined ? emoji : shapedRecipe(emoji, shape);
  const rows = shape?.vocabulary ?? emojiVocabulary;
  const vocabulary = Array.from({ length: rows }, (_, id) => id);
  const settings = phaseSettings({ ...recipe, precision }, recipe.phases[0]!, { examples: 1_000_000, vocabulary });
  const { learningRate = settings.optimizer.learningRate } = shape ?? {};
  const optimizer = { ...settings.optimizer, learningRate, multipliers: {} };
  // So long that the cosine has not yet moved a float away from one.
  return { ...settings, optimizer, schedule: { total: 2 ** 50, warmup: 0 } };
}

const traced: Readonly<Record<TraceName, Omit<Shape, 'vocabulary'> & { readonly size: SizeName }>> = {
  'trace/b16': { size: 'B', patch: 16, resolution: 256, batch: 2, length: 64 },
  'trace/so400m': { size: 'So400m', patch: 14, resolution: 224, batch: 2, length: 64 },
  'trace/g-opt': { size: 'g-opt', patch: 16, resolution: 256, batch: 2, length: 64 },
};

/** Models as released, with the whole vocabulary and the decoder of captioning: batch 2. */
export function traceSettings(name: TraceName, precision: 'f32' | 'bf16'): PhaseSettings {
  const shape = traced[name];
  const shaped = shapedRecipe(readEmojiRecipe(), shape);
  const size = textSizeFor(shape.size);
  const model = { ...shaped.model, text: { ...shaped.model.text, size, vocabulary: 'full' } };
  const phases = [{ ...shaped.phases[0]!, objectives: { sigmoid: 1, captioning: {} } }];
  const recipe = parseRecipe({ ...shaped, precision, model, phases });
  return phaseSettings(recipe, recipe.phases[0]!, { examples: 1_000_000, vocabulary: null });
}

/** B/16 as released with the sigmoid loss, at a batch that is embedded in micro-batches. */
export function contrastSettings(precision: 'f32' | 'bf16', batch: number): PhaseSettings {
  const shaped = shapedRecipe(readEmojiRecipe(), { size: 'B', patch: 16, resolution: 256, batch, length: 64 });
  const recipe = { ...shaped, precision, accumulate: batch / 64 };
  return phaseSettings(recipe, recipe.phases[0]!, {
    examples: 1_000_000,
    vocabulary: Array.from({ length: 8_000 }, (_, id) => id),
  });
}

/** Small towers on what the paper's batches hold: 32,768 pictures with views, or so many of a super-batch of 65,536. */
export function hostSettings(variant: 'views' | 'acid'): PhaseSettings {
  const size = { width: 128, depth: 1, mlp: 256, heads: 2 };
  const shape = { size, patch: 32, resolution: 256, batch: 32_768, length: 16 };
  const shaped = shapedRecipe(readEmojiRecipe(), shape);
  const head = { prototypes: 256, hidden: 128, bottleneck: 64 };
  const views = { sigmoid: 1, localToGlobal: head, maskedPrediction: head };
  const { curation: _, ...phase } = shaped.phases[0]!;
  const phases = [{ ...phase, accumulate: 512, objectives: variant === 'views' ? views : { sigmoid: 1 } }];
  const recipe = parseRecipe({ ...shaped, phases }) as Modelled;
  const vocabulary = Array.from({ length: 8_000 }, (_, id) => id);
  // Its time is the host's: what a worker would measure for a step of its own says nothing here.
  const settings: PhaseSettings = {
    ...phaseSettings(recipe, recipe.phases[0]!, { examples: 1_000_000, vocabulary }),
    precision: 'f32',
  };
  if (variant === 'views') return settings;
  const { model, init, batches } = settings;
  const teacher = { sha256: '0'.repeat(64), model, logitScale: Math.log(init.temperature), logitBias: init.logitBias };
  return {
    ...settings,
    curation: { scores: 'learnability', joint: true, chunks: 16, scoring: 'online', dtype: 'bf16', teacher },
    batches: { ...batches, candidates: 2 * batches.batch },
  };
}

function shapedRecipe(recipe: Modelled, shape: Omit<Shape, 'vocabulary'>): Modelled {
  const { size, patch, resolution, batch, length } = shape;
  const model = { ...recipe.model, vision: { size, patch, resolution }, text: { ...recipe.model.text, size, length } };
  return { ...recipe, model, phases: [{ ...recipe.phases[0]!, batch }] };
}
