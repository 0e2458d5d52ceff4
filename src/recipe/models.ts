import { modelDifferences } from '../model/compare.ts';
import { type ModelConfig, type SizeName, type TowerSize, towerSizes } from '../model/sizes.ts';
import { naflexOf } from './durations.ts';
import type { Problem } from './problem.ts';
import type { Phase, Recipe, RecipeModel } from './schema.ts';
import { modelConfig, writtenModel } from './settings.ts';

/** What a checkpoint holds that phases go on from, or are scored by. */
export interface HeldModel {
  /** As a person writes it, such as base/import@0. */
  readonly name: string;
  readonly model: ModelConfig;
  /** Sorted ids of its compacted token table; null when it is full. */
  readonly vocabulary: readonly number[] | null;
}

/** The recipe with the models that it leaves to the checkpoints that its phases go on from, by phase. */
export function withModels(recipe: Recipe, held: ReadonlyMap<string, HeldModel>): Recipe {
  return {
    ...recipe,
    phases: recipe.phases.map((phase) => {
      const found = typeof phase.from === 'object' ? held.get(phase.name) : undefined;
      return found && !writtenModel(recipe, phase) ? { ...phase, model: asWritten(found) } : phase;
    }),
  };
}

/** A model as a recipe would say it. */
function asWritten({ model: { vision, text }, vocabulary }: HeldModel): RecipeModel {
  return {
    vision: { size: sizeOf(vision), patch: vision.patch, resolution: vision.resolution },
    text: {
      size: sizeOf(text),
      length: text.length,
      vocabulary: vocabulary === null ? 'full' : 'compact',
      ...(text.addedTokens && { addedTokens: [...text.addedTokens] }),
    },
    // Of a fresh model only.
    init: { temperature: 10, logitBias: -10 },
  };
}

/** By its name where it has one, since weights of objectives go by that. */
function sizeOf({ width, depth, mlp, heads }: TowerSize): SizeName | TowerSize {
  const names = Object.keys(towerSizes) as SizeName[];
  const numbers = { width, depth, mlp, heads };
  return names.find((name) => JSON.stringify(towerSizes[name]) === JSON.stringify(numbers)) ?? numbers;
}

/** Where the model that a recipe says is not the one of a checkpoint, and no phase says that it is to be changed. */
export function modelProblems(recipe: Recipe, held: ReadonlyMap<string, HeldModel>): Problem[] {
  return recipe.phases.flatMap((phase, i) => {
    const found = typeof phase.from === 'object' ? held.get(phase.name) : undefined;
    return found ? ofPhase(recipe, phase, i, found) : [];
  });
}

function ofPhase(recipe: Recipe, phase: Phase, i: number, found: HeldModel): Problem[] {
  const { name, model: held } = found;
  const at = phase.model ? `phases.${i}.model` : 'model';
  const where = `${name}, which phase ${phase.name} goes on from,`;
  const written = writtenModel(recipe, phase);
  const kind = naflexOf(recipe, phase) ? ('naflex' as const) : ('fixed' as const);
  const said = written ? modelConfig(recipe, null, { ...phase, vision: {}, text: undefined }) : held;
  const differences = modelDifferences(held, { ...said, vision: { ...said.vision, kind } });
  const problems: Problem[] = [];
  const add = (field: string, message: string) =>
    problems.push({ fields: [field, `phases.${i}.from`], message, mild: true });
  for (const { field, held: has, wanted } of differences) {
    const [, short = ''] = field.split('.');
    if (short === 'kind') {
      // A phase that says naflex asks for the change.
      if (kind === 'fixed')
        add(
          `phases.${i}.vision`,
          `phases.${i}.vision says no naflex, and ${where} is a NaFlex model; "vision": {"naflex": {}} is allowed`,
        );
    } else if (short === 'patch' || short === 'resolution') {
      if (phase.vision[short] === undefined)
        add(
          `${at}.${field}`,
          `${at}.${field} is ${wanted}, and ${where} has ${has}; ${has} is allowed, or "vision": {"${short}": ${wanted}} in the phase, which resamples it`,
        );
    } else if (field === 'text.length' && wanted > has) {
      if (phase.text?.length === undefined)
        add(
          `${at}.${field}`,
          `${at}.${field} is ${wanted}, and ${where} has ${has}; ${has} is allowed, or "text": {"length": ${wanted}} in the phase, which stretches its positions`,
        );
    } else add(`${at}.${field}`, `${at}.${field} is ${wanted}, and ${where} has ${has}; ${has} is allowed`);
  }
  return problems;
}

/** Where the model that scores can't read what the phase trains on. */
export function teacherProblems(recipe: Recipe, phase: Phase, teacher: ModelConfig): Problem[] {
  const i = recipe.phases.indexOf(phase);
  if (phase.curation && teacher.text.addedTokens)
    return [
      {
        fields: [`phases.${i}.curation.teacher`],
        message: `phase ${phase.name} is scored by a teacher that has added tokens; one without is allowed`,
      },
    ];
  const length = writtenModel(recipe, phase) && modelConfig(recipe, null, phase).text.length;
  if (phase.curation?.scoring !== 'online' || length === undefined) return [];
  const fields = [`phases.${i}.curation.scoring`];
  if (teacher.text.length !== length)
    return [
      {
        fields,
        message: `phase ${phase.name} is scored online by a teacher that reads ${teacher.text.length} tokens, and trains on texts of ${length}; "scoring": "stored" is allowed, or the same length`,
      },
    ];
  if (teacher.vision.kind !== 'naflex') return [];
  const message = `phase ${phase.name} is scored online by a NaFlex teacher; "scoring": "stored" is allowed, or a teacher of one resolution`;
  return [{ fields, message }];
}
