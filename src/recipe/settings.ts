import { type ModelConfig, type TowerSize, textSizeFor, towerSizes, wholeVocabulary } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import { type CurationRecipe, superBatch } from './curation.ts';
import { type EpochFacts, naflexOf, parentOf, recipeLengths } from './durations.ts';
import type { SigmoidSettings } from './objective-settings.ts';
import { resolveObjectives } from './objectives.ts';
import type { PhaseSettings } from './phase-settings.ts';
import type { Position } from './position.ts';
import type { Schedule } from './schedule.ts';
import type { DataSettings, OptimizerSettings, Phase, Recipe, RecipeModel } from './schema.ts';
import { phaseSpans } from './spans.ts';

/** What a recipe does not say about its data. */
export interface DataFacts extends EpochFacts {
  /** Usable examples under `data.train`. */
  readonly examples: number;
  /** Sorted ids that a compacted token table holds, those of all data of the recipe; null when no model has one. */
  readonly vocabulary: readonly number[] | null;
  /** Where the checkpoints of other runs stand, by the phase that goes on from them. */
  readonly origins?: Readonly<Record<string, Position>>;
}

type Size = RecipeModel['vision']['size'];
const numbers = (size: Size): TowerSize => (typeof size === 'string' ? towerSizes[size] : size);

/**
 * The model of a phase as the recipe writes it: its own, that of the phase that it goes on from, or the recipe's. Undefined
 * where it is left to the checkpoint that the phase goes on from, and that has not been looked at.
 */
export function writtenModel(recipe: Recipe, phase: Phase | undefined): RecipeModel | undefined {
  if (phase === undefined) return recipe.model ?? writtenModel(recipe, recipe.phases[0]!);
  if (phase.model) return phase.model;
  const parent = parentOf(recipe, phase);
  return parent ? writtenModel(recipe, parent) : recipe.model;
}

/** The model of a phase; RecipeInvalid where nothing says it. */
export function modelOf(recipe: Recipe, phase: Phase | undefined): RecipeModel {
  const model = writtenModel(recipe, phase);
  if (model) return model;
  throw new RunnerError('RecipeInvalid', 'model is missing, and no checkpoint has said it');
}

/** The data of a phase: what it says itself, else the recipe's. */
export function dataOf(recipe: Recipe, phase: Phase): DataSettings {
  const { evaluation, regions: _, filter: _____, ...common } = recipe.data;
  const { data = {} } = phase;
  const own = Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined));
  const regions = regionsOf(recipe, phase);
  const filter = filterOf(recipe, phase);
  const { mixture: __, mixtureAlpha: ___, ...plain } = common;
  const { read: ____, ...unread } = common;
  // Places of its own and a mixture take each other's place.
  const before = data.train ? plain : data.mixture ? { ...unread, train: [] } : common;
  return {
    ...before,
    ...own,
    ...(evaluation !== undefined && { evaluation }),
    ...(regions !== undefined && { regions }),
    ...(filter !== undefined && { filter }),
  };
}

/** The filter of what a phase trains on: other shards have not that of the recipe. */
const filterOf = ({ data }: Recipe, phase: Phase): string | undefined =>
  phase.data?.filter ?? ((phase.data?.train ?? phase.data?.mixture) === undefined ? data.filter : undefined);

/** Where the regions of what a phase trains on lie: other shards have not those of the recipe. */
const regionsOf = ({ data }: Recipe, phase?: Phase): string | undefined =>
  phase?.data?.regions ?? ((phase?.data?.train ?? phase?.data?.mixture) === undefined ? data.regions : undefined);

/** The optimiser of a phase: what it says itself, else the recipe's. */
export function optimizerOf({ optimizer }: Recipe, phase: Phase): OptimizerSettings {
  const { learningRate, weightDecay, clipNorm, multipliers } = phase.optimizer ?? {};
  const { startDecay = optimizer.startDecay, layerDecay = optimizer.layerDecay } = phase.optimizer ?? {};
  return {
    ...optimizer,
    ...(multipliers && { multipliers }),
    ...(startDecay !== undefined && { startDecay }),
    ...(layerDecay !== undefined && { layerDecay }),
    learningRate: learningRate ?? optimizer.learningRate,
    weightDecay: weightDecay ?? optimizer.weightDecay,
    clipNorm: clipNorm ?? optimizer.clipNorm,
  };
}

/** The ids of the token table of a phase's model, null for the full one. */
export function vocabularyOf(recipe: Recipe, phase: Phase | undefined, { vocabulary }: Pick<DataFacts, 'vocabulary'>) {
  return modelOf(recipe, phase).text.vocabulary === 'full' ? null : vocabulary;
}

/** The vision tower's input in a phase: what it says itself, else as in the phase that it goes on from. */
function visionInput(recipe: Recipe, phase: Phase | undefined): { patch: number; resolution: number } {
  const { patch, resolution } = modelOf(recipe, phase).vision;
  if (phase === undefined) return { patch, resolution };
  const parent = phase.model ? undefined : parentOf(recipe, phase);
  const before = parent ? visionInput(recipe, parent) : { patch, resolution };
  return { patch: phase.vision.patch ?? before.patch, resolution: phase.vision.resolution ?? before.resolution };
}

/** How long texts are in a phase: as it says itself, else as in the phase that it goes on from. */
function textLengthOf(recipe: Recipe, phase: Phase | undefined): number {
  const parent = phase && !phase.model ? parentOf(recipe, phase) : undefined;
  return phase?.text?.length ?? (parent ? textLengthOf(recipe, parent) : modelOf(recipe, phase).text.length);
}

/** Tokens beside Gemma's of a phase's model: those of before, and then its own. */
export function addedTokensOf(recipe: Recipe, phase: Phase | undefined): readonly string[] {
  const parent = phase && !phase.model ? parentOf(recipe, phase) : undefined;
  const before = parent ? addedTokensOf(recipe, parent) : (modelOf(recipe, phase).text.addedTokens ?? []);
  return [...before, ...(phase?.text?.addedTokens ?? [])];
}

/** The shapes of the towers, of a phase or as the recipe begins. Without ids the token table is full. */
export function modelConfig(recipe: Recipe, vocabulary: readonly number[] | null, phase?: Phase): ModelConfig {
  const { vision, text } = modelOf(recipe, phase);
  const textSize = text.size ?? (typeof vision.size === 'string' ? textSizeFor(vision.size) : null);
  if (textSize === null) throw new RunnerError('RecipeInvalid', 'model.text.size is missing');
  const naflex = phase && naflexOf(recipe, phase);
  const addedTokens = addedTokensOf(recipe, phase);
  const added = addedTokens.length > 0 && { addedTokens };
  return {
    vision: { ...numbers(vision.size), ...visionInput(recipe, phase), ...(naflex && { kind: 'naflex' as const }) },
    text: {
      ...numbers(textSize),
      length: textLengthOf(recipe, phase),
      vocabulary: vocabulary?.length ?? wholeVocabulary(added || {}),
      ...added,
    },
  };
}

/** The schedule in examples; its lengths are known once the data is. */
export function schedule(recipe: Recipe, phase: Phase, facts: DataFacts): Schedule {
  const i = recipe.phases.indexOf(phase);
  const { total, warmup, shape } = recipeLengths(recipe, facts).schedules[i]!;
  const { from, position } = phaseSpans(recipe, facts)[i]!;
  const own = { total: total ?? 0, warmup: warmup ?? 0, ...(shape !== 'cosine' && { shape }) };
  if (phase.from === undefined && phase.stretch === 1) return own;
  return { ...own, start: { examples: from.examples, position, stretch: phase.stretch } };
}

/** As settings have it: what is left to measurement is no part of them. */
export function xlaOf(xla: Recipe['xla']): Pick<PhaseSettings, 'xla'> {
  return xla === undefined || xla === 'auto' ? {} : { xla };
}

/** As `xlaOf`. */
export function precisionOf(precision: Recipe['precision'] | undefined): Pick<PhaseSettings, 'precision'> {
  return precision === undefined || precision === 'auto' ? {} : { precision };
}

/** All that fixes the training of a phase, every default and unit resolved. */
export function phaseSettings(recipe: Recipe, phase: Phase, facts: DataFacts): PhaseSettings {
  const vocabulary = vocabularyOf(recipe, phase, facts);
  const model = modelConfig(recipe, vocabulary, phase);
  const naflex = naflexOf(recipe, phase);
  const { init } = modelOf(recipe, phase);
  const { curation } = phase;
  const resolved = resolveObjectives(phase.objectives, model, kinOf(phase));
  const { objectives } = resolved;
  const keeps = phase.frozenFeatures === 'kept';
  const parts = { ...resolved.parts, ...(keeps && { pictures: {} }) };
  return {
    phase: phase.name,
    seed: recipe.seed,
    ...precisionOf(recipe.precision),
    ...xlaOf(recipe.xla),
    accumulate: phase.accumulate,
    remat: phase.remat,
    model,
    init,
    objectives,
    optimizer: optimizerOf(recipe, phase),
    ...(phase.train && { train: phase.train }),
    ...(phase.freeze && { freeze: phase.freeze }),
    ...(keeps && { frozenFeatures: 'kept' as const }),
    ...(phase.text?.length !== undefined && { textPositions: phase.text.positions }),
    ...(phase.text?.addedTokens && { tokensAdded: phase.text.addedTokens.length }),
    ...(phase.lora && { lora: { ...phase.lora, alpha: phase.lora.alpha ?? phase.lora.rank } }),
    ...(phase.ema && { ema: phase.ema }),
    teacher: phase.teacher,
    ...(curation && { curation: curationSettings(curation) }),
    ...(phase.replicas && { replicas: phase.replicas }),
    ...(recipe.divergence.maxLoss !== undefined && { maxLoss: recipe.divergence.maxLoss }),
    schedule: schedule(recipe, phase, facts),
    batches: {
      seed: recipe.seed,
      phase: phase.name,
      batch: phase.batch,
      ...(curation && { candidates: superBatch(curation, phase.batch) }),
      resolution: model.vision.resolution,
      textLength: model.text.length,
      data: dataOf(recipe, phase),
      vocabulary,
      ...(model.text.addedTokens && { addedTokens: model.text.addedTokens }),
      ...(naflex && { naflex: { ...naflex, patch: model.vision.patch } }),
      ...(Object.keys(parts).length > 0 && { parts }),
    },
  };
}

const kinOf = ({ negatives, positives }: Phase): Pick<SigmoidSettings, 'kin' | 'anyText'> => {
  if (positives === 'any') return { kin: 'positive', anyText: true };
  return positives === 'shared' ? { kin: 'positive' } : negatives === 'distinct' ? { kin: 'ignored' } : {};
};

/** Which checkpoint the teacher is will be known when the phase begins. */
function curationSettings({
  teacher: _,
  filterRatio: __,
  overlap,
  ...settings
}: CurationRecipe): PhaseSettings['curation'] & {} {
  return { ...settings, ...(overlap && { overlap }) };
}
