import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toDocument } from '../src/checkpoint/documents.ts';
import type { Figured, FigureJob, Files } from '../src/evaluate/evaluators/job.ts';
import { evaluatorOf } from '../src/evaluate/evaluators/registry.ts';
import type { ClassSpec, ImageSpec } from '../src/evaluate/features/spec.ts';
import { viewName } from '../src/evaluate/features/view.ts';
import type { FigureDocument } from '../src/evaluate/result.ts';
import type { PlannedFigure, TaskPlan } from '../src/evaluate/task-plan.ts';
import { hashFile } from '../src/runtime/hash.ts';
import { askTrainer, type Told } from './ask-trainer.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { fetchFeatures } from './evaluation-features.ts';
import { learnedDecoder } from './evaluation-learn.ts';
import { beat } from './heartbeat.ts';
import { putOnce } from './put-once.ts';
import type { EvaluatePartInput } from './types/evaluation.ts';

/** Where the figures of an evaluator at a view lie, without an ending. */
export const figureBase = (prefix: string, { test }: TaskPlan, { evaluator, view }: PlannedFigure): string =>
  `${prefix}figures/${evaluator}-${viewName(test.spec.model.config, view)}`;

/**
 * Runs one evaluator at one view on the features, and keeps its figures in the bucket. They are written once: what is there
 * already is adopted.
 */
export async function evaluatePart(
  deps: Dependencies,
  { plan: { document, prefix }, figure: number }: EvaluatePartInput,
  attempt: Attempt,
): Promise<{ readonly key: string }> {
  const { store, scratch } = deps;
  const folder = join(scratch, 'figures', attempt.id);
  let doing = 'looking for stored figures';
  const heart = beat(attempt, () => ({ figure: number, doing }));
  try {
    const plan = await readDocumentAs<TaskPlan>(store, document, join(scratch, 'documents'));
    const figure = plan.figures[number]!;
    const base = figureBase(prefix, plan, figure);
    const key = `${base}.json`;
    const there = async () => ((await store.head(key)) ? { key } : null);
    const before = await there();
    if (before) return before;
    doing = 'fetching the features';
    const out = join(folder, 'outcomes.safetensors');
    await mkdir(folder, { recursive: true });
    const tell = (text: string) => {
      doing = text;
    };
    const told = { of: { task: plan.task.name }, tell };
    const features = await jobOf(deps, plan, figure, out, attempt.signal);
    const job = await withLearned(deps, features, folder, told, attempt);
    const found = await askTrainer<Figured>(deps, attempt, job, { ...told, what: 'the figures were there' });
    await deps.onPoint?.('scored');
    doing = 'uploading the figures';
    const outcomes = { key: `${base}.safetensors`, ...(await hashFile(out))! };
    return await putOnce(async () => {
      // Of two attempts either may win: they are the same.
      await store.putFile(outcomes.key, out, { sha256: outcomes.sha256, signal: attempt.signal });
      const view = viewName(plan.test.spec.model.config, figure.view);
      const body: FigureDocument = { evaluator: figure.evaluator, view, ...found, outcomes };
      await store.put(key, toDocument(body), { ifAbsent: true, contentType: 'application/json' });
      await deps.onPoint?.('stored');
      return { key };
    }, there);
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

/** The job with what its evaluator learns before, where it does. */
async function withLearned(
  deps: Dependencies,
  job: FigureJob,
  folder: string,
  told: Told,
  attempt: Attempt,
): Promise<FigureJob> {
  const { evaluator, settings, view, languages, seed, train, codeVersion } = job;
  const lesson = evaluatorOf(evaluator).lesson?.(settings, { languages, seed });
  if (!lesson || !train) return job;
  return { ...job, learned: await learnedDecoder(deps, { lesson, train, view, codeVersion }, folder, told, attempt) };
}

async function jobOf(
  { store, scratch, device }: Dependencies,
  plan: TaskPlan,
  { evaluator, view }: PlannedFigure,
  out: string,
  signal: AbortSignal,
): Promise<FigureJob> {
  const { task, codeVersion } = plan;
  const needs = evaluatorOf(evaluator).needs(plan.classes !== null, task.evaluators[evaluator]);
  const specs = [plan.test.spec, ...(plan.train ? [plan.train.spec] : []), ...(plan.classes ? [plan.classes] : [])];
  const files = await fetchFeatures(store, device ? join(scratch, 'devices', device) : scratch, specs, signal);
  const filesOf = <Spec extends ImageSpec | ClassSpec>(spec: Spec): Files<Spec> => ({ spec, files: files.get(spec)! });
  return {
    kind: 'figure',
    evaluator,
    view,
    settings: task.evaluators[evaluator],
    languages: task.languages,
    seed: task.sample.seed,
    test: filesOf(plan.test.spec),
    train: needs.train && plan.train ? filesOf(plan.train.spec) : null,
    classes: needs.classes && plan.classes ? filesOf(plan.classes) : null,
    ...(plan.trainedOn !== undefined && { trainedOn: plan.trainedOn }),
    codeVersion,
    out,
  };
}
