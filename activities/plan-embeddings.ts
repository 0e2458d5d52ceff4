import { readCommit } from '../src/checkpoint/commits.ts';
import { checkpointDamaged } from '../src/checkpoint/damage.ts';
import { toRef } from '../src/checkpoint/documents.ts';
import { importByContent } from '../src/checkpoint/hugging-face/import-by-content.ts';
import { importPhase } from '../src/checkpoint/hugging-face/import-phase.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import { findNamed } from '../src/checkpoint/names.ts';
import { pin } from '../src/checkpoint/pins.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { embeddingHolder, embeddingPrefix } from '../src/embeddings/keys.ts';
import { findEmbeddings } from '../src/embeddings/manifest.ts';
import { type EmbeddingModel, type EmbeddingPlan, planEmbeddings as look, partsAt } from '../src/embeddings/plan.ts';
import { parseEmbedding } from '../src/embeddings/settings.ts';
import { patchGrid } from '../src/model/parameters.ts';
import { heldModel } from '../src/plan/held-model.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { sha256 } from '../src/runtime/hash.ts';
import { probeConditionalWrites } from '../src/storage/conditional-writes.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocumentBelow } from './documents.ts';
import { beat } from './heartbeat.ts';
import type { EmbeddingsBegun } from './types/embeddings.ts';

/**
 * Checks what embeddings are started with against model and data, and keeps what it comes to in the bucket. Their model is held
 * from then on, so that it can be asked for them. Calling it again changes nothing. Errors: RecipeInvalid, DataContract,
 * ObjectMissing.
 */
export async function planEmbeddings(deps: Dependencies, input: unknown, attempt: Attempt): Promise<EmbeddingsBegun> {
  const { store, log, codeVersion, scratch } = deps;
  const heart = beat(attempt, () => ({ doing: 'indexing the shards' }));
  try {
    const settings = parseEmbedding(input);
    const { name } = settings;
    await probeConditionalWrites(store);
    const checkpoint = settings.model.startsWith('/')
      ? await importByContent(store, settings.model, { scratch, codeVersion, attempt: `import-${attempt.id}` })
      : toRef(await readCommit(store, await findNamed(store, settings.model)));
    const model = await modelOf(store, checkpoint);
    const { spec, id, parts, index } = await look(store, settings, model, deps.examplesOfPart);
    const before = await findEmbeddings(store, name);
    if (before && before.id !== id) throw otherOnes(name, before.model.name);
    await pin(store, checkpoint, embeddingHolder(name));
    const prefix = embeddingPrefix(name);
    const plan: EmbeddingPlan = {
      ...{ version: 1, id, task: { name }, settings, model: { name: model.name, checkpoint }, codeVersion },
      test: { spec, index: await keepDocumentBelow(store, `${prefix}${id}/`, 'index', index), at: partsAt(settings) },
      ...{ train: null, classes: null },
    };
    const document = await keepDocumentBelow(store, `${prefix}${id}/`, 'plan', plan);
    log.info(
      { embeddings: name, id, parts, examples: spec.sample.examples, done: before !== null },
      'embeddings planned',
    );
    return { document, name, parts, done: before !== null };
  } finally {
    heart.stop();
  }
}

const otherOnes = (name: string, model: string) =>
  new RunnerError(
    'RecipeInvalid',
    `embeddings ${name} are there already, of another model, other data or other settings (by ${model}); take another name, or npm run siglip2 -- rm embeddings/${name} --yes first`,
  );

/** What a checkpoint says of how it sees pictures. */
async function modelOf(store: ObjectStore, checkpoint: CheckpointRef): Promise<EmbeddingModel> {
  const { name, model: config } = await heldModel(store, checkpoint);
  const { resize, prefix, sidecars } = (await readManifest(store, checkpoint)).manifest;
  // What transformers' processors do is how a model of others is used; ours say how they were trained.
  const trainedBy = resize ?? (checkpoint.phase === importPhase ? 'antialias' : 'big_vision');
  const found = { name, checkpoint, config, resize: trainedBy, patches: patchGrid(config) ** 2 };
  const sidecar = sidecars.find(({ path }) => path === 'preprocessor_config.json');
  if (config.vision.kind !== 'naflex' || !sidecar) return found;
  const bytes = await store.get(prefix + sidecar.path);
  if (sha256(bytes) !== sidecar.sha256)
    throw checkpointDamaged(checkpoint, prefix + sidecar.path, 'is not what was committed');
  const { max_num_patches: patches } = JSON.parse(bytes.toString('utf8')) as { max_num_patches?: number };
  return { ...found, patches: patches ?? found.patches };
}
