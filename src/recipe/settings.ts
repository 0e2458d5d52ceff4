import { fullVocabulary, type ModelConfig, type TowerSize, textSizeFor, towerSizes } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { PhaseSettings } from '../train/protocol.ts';
import { recipeLengths } from './durations.ts';
import { resolveObjectives } from './objectives.ts';
import type { Schedule } from './schedule.ts';
import type { Phase, Recipe } from './schema.ts';

/** What a recipe does not say about its data. */
export interface DataFacts {
  /** Usable examples under `data.train`. */
  readonly examples: number;
  /** Sorted ids of a compacted token table, null for the full one. */
  readonly vocabulary: readonly number[] | null;
}

type Size = Recipe['model']['vision']['size'];
const numbers = (size: Size): TowerSize => (typeof size === 'string' ? towerSizes[size] : size);

/** The shapes of the towers. Without ids the token table is full. */
export function modelConfig(recipe: Recipe, vocabulary: readonly number[] | null): ModelConfig {
  const { vision, text } = recipe.model;
  const textSize = text.size ?? (typeof vision.size === 'string' ? textSizeFor(vision.size) : null);
  if (textSize === null) throw new RunnerError('RecipeInvalid', 'model.text.size is missing');
  return {
    vision: { ...numbers(vision.size), patch: vision.patch, resolution: vision.resolution },
    text: { ...numbers(textSize), length: text.length, vocabulary: vocabulary?.length ?? fullVocabulary },
  };
}

/** The schedule in examples; its lengths are known once the data is. */
export function schedule(recipe: Recipe, phase: Phase, facts: DataFacts): Schedule {
  const { total, warmup, windows } = recipeLengths(recipe, facts.examples);
  const lengths = { total: total ?? 0, warmup: warmup ?? 0 };
  if (phase.stretch === 1) return lengths;
  return { ...lengths, stretch: { from: windows[recipe.phases.indexOf(phase)]?.from ?? 0, by: phase.stretch } };
}

/** All that fixes the training of a phase, every default and unit resolved. */
export function phaseSettings(recipe: Recipe, phase: Phase, facts: DataFacts): PhaseSettings {
  const { objectives, parts } = resolveObjectives(phase.objectives);
  return {
    phase: phase.name,
    seed: recipe.seed,
    precision: recipe.precision,
    accumulate: phase.accumulate,
    remat: phase.remat,
    model: modelConfig(recipe, facts.vocabulary),
    init: recipe.model.init,
    objectives,
    optimizer: recipe.optimizer,
    teacher: phase.teacher,
    schedule: schedule(recipe, phase, facts),
    batches: {
      seed: recipe.seed,
      phase: phase.name,
      batch: phase.batch,
      resolution: recipe.model.vision.resolution,
      textLength: recipe.model.text.length,
      data: recipe.data,
      vocabulary: facts.vocabulary,
      ...(Object.keys(parts).length > 0 && { parts }),
    },
  };
}
