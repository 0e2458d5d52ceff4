import type { CheckpointRef } from '../checkpoint/types.ts';
import { indexData } from '../data/index/index-data.ts';
import type { StoredIndex } from '../data/index/types.ts';
import { examplesOfPart, type ImageSpec, imageParts, specHash } from '../evaluate/features/spec.ts';
import type { SetPlan, TaskPlan } from '../evaluate/task-plan.ts';
import type { ModelConfig } from '../model/sizes.ts';
import { foreign } from '../recipe/reading.ts';
import type { Resize } from '../recipe/schema.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { embeddingPrefix } from './keys.ts';
import type { EmbeddingSettings } from './settings.ts';

/** The model of embeddings, as it was found. */
export interface EmbeddingModel {
  /** For people: run/phase@step. */
  readonly name: string;
  readonly checkpoint: CheckpointRef;
  readonly config: ModelConfig;
  readonly resize: Resize;
  /** Of a picture, where nobody says another number: NaFlex. */
  readonly patches: number;
}

/** Embeddings, resolved: a task that needs features of one set and has no evaluator. */
export interface EmbeddingPlan
  extends Pick<TaskPlan<CheckpointRef>, 'version' | 'id' | 'model' | 'train' | 'classes' | 'codeVersion'> {
  readonly task: { readonly name: string };
  readonly settings: EmbeddingSettings;
  readonly test: SetPlan & { readonly at: string };
}

/** Examples of a part: half a minute of a GPU, and at most an hour of two cores. Their keys are 0.6 MB of its header. */
const mostExamples = 4096;

/** What is to be made, and of what. RecipeInvalid or DataContract, before anything is spent. */
export async function planEmbeddings(
  store: ObjectStore,
  settings: EmbeddingSettings,
  { checkpoint, config, resize, patches }: EmbeddingModel,
  perPart?: number,
): Promise<{ readonly spec: ImageSpec; readonly id: string; readonly parts: number; readonly index: StoredIndex }> {
  const { of, languages, captions, read, rows, patches: each, maxNumPatches, data } = settings;
  const naflex = config.vision.kind === 'naflex';
  if (maxNumPatches !== undefined && !naflex)
    throw new RunnerError(
      'RecipeInvalid',
      `maxNumPatches is ${maxNumPatches}, and the model sees squares of ${config.vision.resolution} pixels; leave it out`,
    );
  const index = await indexData(store, data, foreign(read));
  const views = of.includes('images') ? [naflex ? (maxNumPatches ?? patches) : config.vision.resolution] : [];
  const { templates, fields } = read ?? {};
  const spec: ImageSpec = {
    model: { sha256: checkpoint.sha256, config },
    data: { fingerprint: index.fingerprint, read: index.read ?? null },
    // All of them, each once.
    sample: { of: index.examples, examples: index.examples, seed: 0 },
    views,
    resize,
    patches: each,
    ...(each && naflex && { grid: true as const }),
    head: true,
    rows,
    perPart: perPart ?? (each ? examplesOfPart(config, views, true) : mostExamples),
    captions: of.includes('texts')
      ? {
          languages,
          most: captions,
          read: (templates ?? fields) ? { ...(templates && { templates }), ...(fields && { fields }) } : null,
        }
      : null,
    text: { case: 'lower' },
  };
  return { spec, id: specHash(spec).slice(0, 16), parts: imageParts(spec), index: index.document };
}

/** Where the parts of embeddings lie. */
export const partsAt = ({ name }: Pick<EmbeddingSettings, 'name'>): string => embeddingPrefix(name);
