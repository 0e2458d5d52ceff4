import { readEvaluation } from '../../src/commands/evaluate.ts';
import type { Outcome as OfPictures } from '../../src/evaluate/evaluators/contract.ts';
import { outcomesIn } from '../../src/evaluate/evaluators/outcomes.ts';
import { compareWithIntervals } from '../../src/evaluate/explain.ts';
import type { Difference } from '../../src/evaluate/intervals.ts';
import { type EvaluationDocument, type FigureDocument, flatFigures } from '../../src/evaluate/result.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import type { PhaseResult } from '../../workflows/results.ts';

/** Figures of a table, each by task, evaluator and path. */
export const figures = {
  'new top-1': ['new', 'zeroShot', 'by_language.en.top1'],
  'new R@1': ['new', 'retrieval', 'mean.text_to_image.r1'],
  'old top-1': ['old', 'zeroShot', 'by_language.en.top1'],
  'old R@1': ['old', 'retrieval', 'mean.text_to_image.r1'],
} as const;
export type FigureName = keyof typeof figures;
export const figureNames = Object.keys(figures) as FigureName[];

/** By the names of the tasks. */
export type Documents = Readonly<Record<string, EvaluationDocument>>;
const ofEach = <T>(what: (name: FigureName) => T) =>
  Object.fromEntries(figureNames.map((name) => [name, what(name)])) as Record<FigureName, T>;

/** What the tasks found of a phase, by their names. An evaluation that failed is an error here. */
export async function documentsOf(store: ObjectStore, { tasks = [] }: PhaseResult): Promise<Documents> {
  const found: Record<string, EvaluationDocument> = {};
  for (const task of tasks) {
    if ('failure' in task) throw new Error(`${task.name}: ${task.failure}`);
    found[task.name] = await readEvaluation(store, task.key);
  }
  return found;
}

export const valuesOf = (documents: Documents): Record<FigureName, number> =>
  ofEach((name) => {
    const [task, evaluator, path] = figures[name];
    const one = documents[task]!.figures.find((figure) => figure.evaluator === evaluator)!;
    return new Map(flatFigures(one.figures)).get(path)!;
  });

/** b less a, over the same pictures. */
export async function differencesBetween(
  store: ObjectStore,
  a: Documents,
  b: Documents,
): Promise<Record<FigureName, Difference>> {
  const outcomes = async ({ outcomes: { key } }: FigureDocument): Promise<Record<string, OfPictures>> =>
    outcomesIn(await store.get(key));
  const byTask: Record<string, Awaited<ReturnType<typeof compareWithIntervals>>> = {};
  for (const task of ['new', 'old']) byTask[task] = await compareWithIntervals(a[task]!, b[task]!, outcomes);
  return ofEach((name) => {
    const [task, evaluator, path] = figures[name];
    const compared = byTask[task]!.find((one) => one.evaluator === evaluator)!.figures;
    return compared.find((figure) => figure.name === path)!.difference!;
  });
}
