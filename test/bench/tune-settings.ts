import { fullVocabulary, type ModelConfig, towerSizes } from '../../src/model/sizes.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import { type TaskName, taskRecipe } from '../../src/recipe/tasks.ts';

/** B/16 as released, with its whole table of tokens. */
export const tunedModel: ModelConfig = {
  vision: { ...towerSizes.B, patch: 16, resolution: 256 },
  text: { ...towerSizes.B, length: 64, vocabulary: fullVocabulary },
};

/** Task and precision of a variant of the benchmark. */
export function tunePartsOf(variant: string): [TaskName, 'f32' | 'bf16'] {
  const [task, precision = 'f32'] = variant.split('-') as [TaskName, 'bf16'?];
  return [task, precision];
}

/** What a peer computes in beside ours: bf16 beside bf16, and beside f32 too, which people have who ask PyTorch for nothing. */
export const peerPrecisions = (precision: 'f32' | 'bf16'): readonly ('f32' | 'bf16')[] =>
  precision === 'bf16' ? ['bf16', 'f32'] : ['f32'];

/**
 * What `recipe new` writes for a task, at batch 8. The rate is constant, so that a peer needs no schedule.
 *
 * @param precision what `"auto"` comes to is bf16 where the CPU has instructions for it
 */
export function tuneSettings(task: TaskName, precision: 'f32' | 'bf16'): PhaseSettings {
  const from = { run: 'base', phase: 'import' };
  const model = { vision: { size: 'B', patch: 16, resolution: 256 }, text: { length: 64 } };
  const recipe = parseRecipe({ ...taskRecipe({ task, from, train: 'data', batch: 8 }), model, precision });
  const facts = { examples: 1_000_000, vocabulary: null, origins: { [task]: { step: 0, examples: 0 } } };
  return {
    ...phaseSettings(recipe, recipe.phases[0]!, facts),
    xla: 'off',
    schedule: { total: 2 ** 50, warmup: 0 },
  };
}
