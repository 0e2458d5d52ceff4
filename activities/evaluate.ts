import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { recipeEvaluationKey, recipeSheetKey } from '../src/checkpoint/keys.ts';
import { restoreCheckpoint } from '../src/checkpoint/restore.ts';
import { openIndex } from '../src/data/index/open-index.ts';
import type { StoredIndex } from '../src/data/index/types.ts';
import { resizeOf } from '../src/data/views/preprocess.ts';
import type { ImageSpec } from '../src/evaluate/features/spec.ts';
import { storedPatches } from '../src/evaluate/image-input.ts';
import { captionsOf } from '../src/evaluate/plan-task.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { ReadSettings } from '../src/recipe/reading.ts';
import type { Resize } from '../src/recipe/schema.ts';
import { canonicalJson, sha256 } from '../src/runtime/hash.ts';
import { askTrainer } from './ask-trainer.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { fetchDocument, readDocumentAs } from './documents.ts';
import { keepSheet } from './draw-sheet.ts';
import { beat } from './heartbeat.ts';
import { metricsBeside } from './metrics-beside.ts';
import type { EvaluateInput, EvaluationResult } from './types/phase-end.ts';

/** Evaluates a checkpoint on data that was not trained on; the figures lie beside it in the bucket. */
export async function evaluate(deps: Dependencies, input: EvaluateInput, attempt: Attempt): Promise<EvaluationResult> {
  const { store, scratch, log } = deps;
  const { plan, checkpoint, evaluation } = input;
  const folder = join(scratch, plan.run, plan.phase, attempt.id);
  let doing = `fetching ${plan.phase}@${checkpoint.step}`;
  const heart = beat(attempt, () => ({ doing }));
  try {
    const documents = join(scratch, 'documents');
    const { model, batches } = await readDocumentAs<PhaseSettings>(store, plan.settings, documents);
    const indexFile = await fetchDocument(store, evaluation.index, documents);
    const files = ({ path }: { path: string }) => path === 'model.safetensors';
    await restoreCheckpoint(store, checkpoint, folder, { files, signal: attempt.signal });
    const { languages, maxExamples, read } = evaluation;
    const { resize } = batches.data;
    const own = { ...(read && { read }), ...(resize && { resize }) };
    const tell = (text: string) => {
      doing = text;
    };
    const told = { of: { run: plan.run, phase: plan.phase }, tell };
    const report = await askTrainer<EvaluationResult['report']>(
      deps,
      attempt,
      { kind: 'evaluate', folder, model, indexFile, languages, maxExamples, ...own },
      { ...told, what: 'the figures were there' },
    );
    const of = { run: plan.run, phase: plan.phase, step: checkpoint.step, sha256: checkpoint.sha256 };
    const text = `${JSON.stringify({ checkpoint: of, data: evaluation.dataFingerprint, ...report }, null, 2)}\n`;
    const settings = canonicalJson({ of, data: evaluation.dataFingerprint, languages, maxExamples, ...own });
    const hash = sha256(settings).slice(0, 16);
    const key = recipeEvaluationKey(plan, hash);
    await store.put(key, text, { contentType: 'application/json' });
    await metricsBeside(deps, checkpoint);
    const title = `${plan.run}/${plan.phase}@${checkpoint.step}`;
    const sheet = { kind: 'sheet', classes: null, name: title, folder, model, indexFile, languages } as const;
    await specOf(deps, input, model, indexFile, own)
      .then((spec) => keepSheet(deps, recipeSheetKey(plan, hash), { ...sheet, spec }, told, attempt))
      .catch((error) => {
        // Figures are what a run goes on with; its pictures are for people.
        if (attempt.signal.aborted) throw error;
        log.warn({ run: plan.run, phase: plan.phase, err: error }, 'no sheet of pictures');
      });
    return { key, report };
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** What the pictures of its sheet are shown as: as the evaluation shows them. */
async function specOf(
  { store }: Dependencies,
  { evaluation, checkpoint }: EvaluateInput,
  model: PhaseSettings['model'],
  indexFile: string,
  { read, resize }: { readonly read?: ReadSettings; readonly resize?: Resize },
): Promise<ImageSpec> {
  const { examples: of } = openIndex(JSON.parse(await readFile(indexFile, 'utf8')) as StoredIndex, store);
  return {
    model: { sha256: checkpoint.sha256, config: model },
    data: { fingerprint: evaluation.dataFingerprint, read: null },
    sample: { of, examples: Math.min(of, evaluation.maxExamples), seed: 0 },
    views: [model.vision.kind === 'naflex' ? storedPatches(model) : model.vision.resolution],
    resize: resizeOf({ resize }),
    patches: true,
    perPart: 1,
    captions: captionsOf({ languages: evaluation.languages, read }),
    text: { case: 'lower' },
  };
}
