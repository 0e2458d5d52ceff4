import type { Position } from '../checkpoint/types.ts';
import { fullVocabulary, type ModelConfig, type TowerSize, textSizeFor, towerSizes } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { PhaseSettings } from '../train/protocol.ts';
import { naflexOf, parentOf, recipeLengths } from './durations.ts';
import { resolveObjectives } from './objectives.ts';
import type { Schedule } from './schedule.ts';
import type { Phase, Recipe } from './schema.ts';
import { phaseSpans } from './spans.ts';

/** What a recipe does not say about its data. */
export interface DataFacts {
  /** Usable examples under `data.train`. */
  readonly examples: number;
  /** Sorted ids of a compacted token table, null for the full one. */
  readonly vocabulary: readonly number[] | null;
  /** Where the checkpoints of other runs stand, by the phase that goes on from them. */
  readonly origins?: Readonly<Record<string, Position>>;
}

type Size = Recipe['model']['vision']['size'];
const numbers = (size: Size): TowerSize => (typeof size === 'string' ? towerSizes[size] : size);

/** The vision tower's input in a phase: what it says itself, else as in the phase that it goes on from. */
function visionInput(recipe: Recipe, phase: Phase | undefined): { patch: number; resolution: number } {
  const { patch, resolution } = recipe.model.vision;
  if (phase === undefined) return { patch, resolution };
  const before = visionInput(recipe, parentOf(recipe, phase));
  return { patch: phase.vision.patch ?? before.patch, resolution: phase.vision.resolution ?? before.resolution };
}

/** The shapes of the towers, of a phase or as the recipe begins. Without ids the token table is full. */
export function modelConfig(recipe: Recipe, vocabulary: readonly number[] | null, phase?: Phase): ModelConfig {
  const { vision, text } = recipe.model;
  const textSize = text.size ?? (typeof vision.size === 'string' ? textSizeFor(vision.size) : null);
  if (textSize === null) throw new RunnerError('RecipeInvalid', 'model.text.size is missing');
  const naflex = phase && naflexOf(recipe, phase);
  return {
    vision: { ...numbers(vision.size), ...visionInput(recipe, phase), ...(naflex && { kind: 'naflex' as const }) },
    text: { ...numbers(textSize), length: text.length, vocabulary: vocabulary?.length ?? fullVocabulary },
  };
}

/** The schedule in examples; its lengths are known once the data is. */
export function schedule(recipe: Recipe, phase: Phase, facts: DataFacts): Schedule {
  const { total, warmup } = recipeLengths(recipe, facts.examples);
  const { from, position } = phaseSpans(recipe, facts)[recipe.phases.indexOf(phase)]!;
  if (phase.from === undefined && phase.stretch === 1) return { total: total ?? 0, warmup: warmup ?? 0 };
  const start = { examples: from.examples, position, stretch: phase.stretch };
  return { total: total ?? 0, warmup: warmup ?? 0, start };
}

/** All that fixes the training of a phase, every default and unit resolved. */
export function phaseSettings(recipe: Recipe, phase: Phase, facts: DataFacts): PhaseSettings {
  const model = modelConfig(recipe, facts.vocabulary, phase);
  const naflex = naflexOf(recipe, phase);
  const { size } = recipe.model.vision;
  const { objectives, parts } = resolveObjectives(phase.objectives, model, typeof size === 'string' ? size : null);
  return {
    phase: phase.name,
    seed: recipe.seed,
    precision: recipe.precision,
    accumulate: phase.accumulate,
    remat: phase.remat,
    model,
    init: recipe.model.init,
    objectives,
    optimizer: recipe.optimizer,
    teacher: phase.teacher,
    ...(recipe.divergence.maxLoss !== undefined && { maxLoss: recipe.divergence.maxLoss }),
    schedule: schedule(recipe, phase, facts),
    batches: {
      seed: recipe.seed,
      phase: phase.name,
      batch: phase.batch,
      resolution: model.vision.resolution,
      textLength: recipe.model.text.length,
      data: recipe.data,
      vocabulary: facts.vocabulary,
      ...(naflex && { naflex: { ...naflex, patch: model.vision.patch } }),
      ...(Object.keys(parts).length > 0 && { parts }),
    },
  };
}
