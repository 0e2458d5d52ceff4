import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import type { FigureDocument } from '../src/evaluate/result.ts';
import type { FoundIn, SheetJob } from '../src/evaluate/sheet/job.ts';
import type { TaskPlan } from '../src/evaluate/task-plan.ts';
import { hashFile } from '../src/runtime/hash.ts';
import { askTrainer, type Told } from './ask-trainer.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { fetchDocument, readDocumentAs } from './documents.ts';
import { figureBase } from './evaluation-figure.ts';
import { beat } from './heartbeat.ts';
import { putOnce } from './put-once.ts';
import { withTeacher } from './teacher-folder.ts';
import type { PlannedEvaluation } from './types/evaluation.ts';

/** The sheet of an evaluation by a task, beside its figures. */
export const sheetKey = (prefix: string): string => `${prefix}sheet.json`;

/**
 * Makes the sheet of an evaluation, pictures that show what its model can do, and keeps it in the bucket. It is written once:
 * what is there already is adopted without a device.
 */
export async function drawSheet(
  deps: Dependencies,
  { plan: { document, prefix } }: { readonly plan: PlannedEvaluation },
  attempt: Attempt,
): Promise<{ readonly key: string }> {
  const { store, scratch } = deps;
  const key = sheetKey(prefix);
  let doing = 'looking for a stored sheet';
  const heart = beat(attempt, () => ({ doing }));
  try {
    if (await store.head(key)) return { key };
    const documents = join(scratch, 'documents');
    const plan = await readDocumentAs<TaskPlan<CheckpointRef>>(store, document, documents);
    const { spec, index } = plan.test;
    const indexFile = await fetchDocument(store, index, documents);
    const tell = (text: string) => {
      doing = text;
    };
    const { model, classes, task } = plan;
    const of = {
      kind: 'sheet',
      model: spec.model.config,
      spec,
      classes,
      languages: task.languages,
      indexFile,
      found: await foundBy(deps, prefix, plan),
    } as const;
    return await withTeacher(deps, model.checkpoint, attempt.signal, (folder) =>
      keepSheet(deps, key, { ...of, folder, name: model.name }, { of: { task: task.name }, tell }, attempt),
    );
  } finally {
    heart.stop();
  }
}

/** What the evaluators of the task found in pictures, which their figures say. */
async function foundBy({ store }: Dependencies, prefix: string, plan: TaskPlan<CheckpointRef>): Promise<FoundIn[]> {
  const found: FoundIn[] = [];
  for (const figure of plan.figures) {
    const bytes = await store.get(`${figureBase(prefix, plan, figure)}.json`);
    const { evaluator, view, shown = [] } = JSON.parse(bytes.toString('utf8')) as FigureDocument;
    found.push(...shown.map((one) => ({ ...one, by: `${evaluator} ${view}` })));
  }
  return found.slice(0, mostFound);
}

/** Of a task with many evaluators and views the first. */
const mostFound = 64;

/** Runs the job on the device and puts what it wrote under the key. */
export async function keepSheet(
  deps: Dependencies,
  key: string,
  job: Omit<SheetJob, 'out'>,
  told: Told,
  attempt: Attempt,
): Promise<{ readonly key: string }> {
  const { store, scratch } = deps;
  const there = async () => ((await store.head(key)) ? { key } : null);
  const before = await there();
  if (before) return before;
  const folder = join(scratch, 'sheets', attempt.id);
  try {
    await mkdir(folder, { recursive: true });
    const out = join(folder, 'sheet.json');
    await askTrainer(deps, attempt, { ...job, out }, { ...told, what: 'the sheet was there' });
    const { sha256 } = (await hashFile(out))!;
    return await putOnce(async () => {
      await store.putFile(key, out, { ifAbsent: true, sha256, signal: attempt.signal });
      return { key };
    }, there);
  } finally {
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}
