import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { baseFile } from '../src/checkpoint/base-files.ts';
import { modelFile } from '../src/checkpoint/compose-model.ts';
import { checkpointDamaged } from '../src/checkpoint/damage.ts';
import { exportPrefix } from '../src/checkpoint/hugging-face/complete-folder.ts';
import { exportFiles } from '../src/checkpoint/hugging-face/export-files.ts';
import { readManifest } from '../src/checkpoint/manifest.ts';
import { evaluationsOf } from '../src/checkpoint/metrics-document.ts';
import type { CheckpointRef, StateFile } from '../src/checkpoint/types.ts';
import { SkippedMembers } from '../src/data/index/skipped-members.ts';
import type { EvaluationReport } from '../src/evaluate/report.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { trainingPlaces } from '../src/recipe/sources.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { exportAdapter } from './export-adapter.ts';
import { beat } from './heartbeat.ts';
import type { ExportInput, ExportResult } from './types/phase-end.ts';

/** Lays a checkpoint out as a folder of the bucket that Hugging Face transformers loads. Doing it again changes nothing. */
export async function exportModel(deps: Dependencies, input: ExportInput, attempt: Attempt): Promise<ExportResult> {
  const { store, scratch, codeVersion } = deps;
  const { plan, checkpoint, evaluation } = input;
  const heart = beat(attempt);
  try {
    const documents = join(scratch, 'documents');
    const settings = await readDocumentAs<PhaseSettings>(store, plan.settings, documents);
    const { data } = settings.batches;
    const { evaluation: evaluated = null } = data;
    const places = [...new Set(trainingPlaces(data))];
    const { manifest } = await readManifest(store, checkpoint);
    const stored = manifest.state.find(({ path }) => path === modelFile);
    if (!stored && !manifest.state.some(({ path }) => path === baseFile))
      throw checkpointDamaged(checkpoint, manifest.prefix + modelFile, 'is not in its manifest');
    const files = await exportFiles(settings.model, {
      run: plan.run,
      phase: plan.phase,
      step: checkpoint.step,
      examples: checkpoint.examples,
      checkpointUri: `s3://${store.bucket}/${checkpoint.prefix}`,
      checkpointSha256: checkpoint.sha256,
      codeVersion,
      recipeHash: plan.recipeHash,
      precision: manifest.precision ?? settings.precision,
      resize: settings.batches.data.resize,
      data: {
        train: places.join(', '),
        evaluation: evaluated,
        fingerprint: plan.dataFingerprint,
        members: plan.members,
        skipped: new SkippedMembers(manifest.skipped).summary(),
        licences: await licencesOf(store, places[0]!),
      },
      evaluations: await evaluationsOf(store, checkpoint),
      evaluation: evaluation && (evaluation.report as unknown as EvaluationReport),
    });
    const prefix = exportPrefix(plan.run, plan.phase, checkpoint.step);
    if (stored) await copyModel(store, checkpoint, stored, prefix);
    for (const { path, content } of files) await store.put(prefix + path, content);
    const adapted = await exportAdapter(deps, settings, checkpoint, prefix, attempt);
    const model = (stored ?? adapted.model)!;
    const bytes = files.reduce((sum, { content }) => sum + Buffer.byteLength(content), model.bytes + adapted.bytes);
    return { uri: `s3://${store.bucket}/${prefix}`, prefix, bytes, sha256: model.sha256 };
  } finally {
    heart.stop();
  }
}

/** Copied on the server, and read back: what is exported is what was committed. */
async function copyModel(store: ObjectStore, ref: CheckpointRef, model: StateFile, prefix: string): Promise<void> {
  const from = ref.prefix + modelFile;
  await store.copy(from, prefix + modelFile).catch((error) => {
    throw isRunnerError(error, 'ObjectMissing') ? checkpointDamaged(ref, from, 'is missing', error) : error;
  });
  if ((await hashObject(store, prefix + modelFile)) === model.sha256) return;
  if ((await hashObject(store, from)) !== model.sha256)
    throw checkpointDamaged(ref, from, 'has other bytes than were committed');
  throw new RunnerError(
    'StorageUnavailable',
    `the copy of ${from} has other bytes than the original; it is made again`,
  );
}

async function hashObject(store: ObjectStore, key: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of await store.stream(key)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** Notices lie beside the data, in its folder or the one above. */
async function licencesOf(store: ObjectStore, prefix: string): Promise<string | null> {
  for (const folder of [prefix, prefix.split('/').slice(0, -1).join('/')]) {
    const key = `${folder}/LICENSES.md`;
    const info = folder === '' ? null : await store.head(key);
    if (info && info.bytes <= 1024 * 1024) return (await store.get(key)).toString('utf8');
  }
  return null;
}
