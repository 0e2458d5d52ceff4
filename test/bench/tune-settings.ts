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

/** Task and precision of a variant of the benchmark, and whether embeddings of frozen pictures are kept. */
export function tunePartsOf(variant: string) {
  const [task, how] = variant.split('-') as [TaskName, ('bf16' | 'kept')?];
  return { task, precision: how === 'bf16' ? 'bf16' : 'f32', kept: how === 'kept' } as const;
}

/** What a peer computes in beside ours: bf16 beside bf16, and beside f32 too, which people have who ask PyTorch for nothing. */
export const peerPrecisions = (precision: 'f32' | 'bf16'): readonly ('f32' | 'bf16')[] =>
  precision === 'bf16' ? ['bf16', 'f32'] : ['f32'];

/**
 * What `recipe new` writes for a task, at batch 8. The rate is constant, so that a peer needs no schedule. What `"auto"` comes to is
 * bf16 where the CPU has instructions for it.
 */
export function tuneSettings(variant: string): PhaseSettings {
  const { task, precision, kept } = tunePartsOf(variant);
  const from = { run: 'base', phase: 'import' };
  const model = { vision: { size: 'B', patch: 16, resolution: 256 }, text: { length: 64 } };
  const written = taskRecipe({ task, from, train: 'data', batch: 8 });
  const phases = written.phases.map((phase) => ({ ...phase, ...(kept && { frozenFeatures: 'kept' }) }));
  const recipe = parseRecipe({ ...written, phases, model, precision });
  const facts = { examples: 1_000_000, vocabulary: null, origins: { [task]: { step: 0, examples: 0 } } };
  return {
    ...phaseSettings(recipe, recipe.phases[0]!, facts),
    xla: 'off',
    schedule: { total: 2 ** 50, warmup: 0 },
  };
}
