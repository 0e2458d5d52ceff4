import { type Borrowed, teacherOf } from '../src/checkpoint/borrowed.ts';
import { checkpointDamaged } from '../src/checkpoint/damage.ts';
import { readModelConfig } from '../src/checkpoint/hugging-face/read-config.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import type { ModelConfig } from '../src/model/sizes.ts';
import type { CurationRecipe } from '../src/recipe/curation.ts';
import type { Phase, Recipe } from '../src/recipe/schema.ts';
import { type DataFacts, dataOf, modelConfig, modelOf, vocabularyOf } from '../src/recipe/settings.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { sha256 } from '../src/runtime/hash.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { CurationPlan } from './types.ts';

/** Whose scores a phase chooses by, and what of the data is to be scored. */
export async function planCuration(
  store: ObjectStore,
  recipe: Recipe,
  phase: Phase,
  { teacher, scoring, scores, dtype }: CurationRecipe,
  facts: DataFacts,
  borrowed: Borrowed,
  shards: number,
): Promise<CurationPlan> {
  const checkpoint = borrowed[teacherOf(phase.name)];
  const own = typeof teacher === 'string' ? recipe.phases.find(({ name }) => name === teacher) : undefined;
  const model = checkpoint
    ? await modelOfCheckpoint(store, checkpoint)
    : modelConfig(recipe, vocabularyOf(recipe, own, facts), own);
  const { length } = modelOf(recipe, phase).text;
  if (scoring === 'online' && model.text.length !== length)
    throw new RunnerError(
      'RecipeInvalid',
      `phase ${phase.name} is scored online by a teacher that reads ${model.text.length} tokens, and trains on texts of ${length}; "scoring": "stored" is allowed, or the same length`,
    );
  if (scoring === 'online' && model.vision.kind === 'naflex')
    throw new RunnerError(
      'RecipeInvalid',
      `phase ${phase.name} is scored online by a NaFlex teacher; "scoring": "stored" is allowed, or a teacher of one resolution`,
    );
  return {
    teacher: checkpoint ? { checkpoint } : { phase: teacher as string },
    model,
    stored: scoring === 'stored' && scores !== 'hardLearner',
    languages: dataOf(recipe, phase).captions.map(({ language }) => language),
    dtype,
    shards,
    sealed: null,
  };
}

/** The shapes of the towers in a checkpoint, by the config.json that lies beside them. */
async function modelOfCheckpoint(store: ObjectStore, checkpoint: CheckpointRef): Promise<ModelConfig> {
  const { manifest } = await readManifest(store, checkpoint);
  const path = 'config.json';
  const bytes = await store.get(manifest.prefix + path);
  if (manifest.sidecars.find((file) => file.path === path)?.sha256 !== sha256(bytes))
    throw checkpointDamaged(checkpoint, manifest.prefix + path, 'is not what was committed');
  return readModelConfig(bytes.toString('utf8'), `s3://${store.bucket}/${manifest.prefix}${path}`);
}
