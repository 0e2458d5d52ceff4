import { own } from '../recipe/own.ts';
import type { Outcome } from './evaluators/contract.ts';
import { type Difference, differencesOf } from './intervals.ts';
import { type EvaluationDocument, type FigureDocument, flatFigures } from './result.ts';
import type { Task } from './tasks/task.ts';

/** A figure that two results have, by its path. */
export interface ComparedFigure {
  readonly name: string;
  readonly a: number;
  readonly b: number;
  /** On the same pictures; absent where the two are not of the same, or one has no interval. */
  readonly difference?: Difference;
}

/** An evaluator that two results have, and what it depends on that is not the same; null: one of them does not say. */
export interface Compared {
  readonly evaluator: string;
  /** Of both; they may be at different views. */
  readonly views: readonly [string, string];
  readonly figures: readonly ComparedFigure[];
  readonly settings: readonly { readonly name: string; readonly a: unknown; readonly b: unknown }[];
  /** How many settings are the same. */
  readonly same: number;
}

/**
 * What differs between two results, evaluator by evaluator: at the same view where both have it, else the first view of each.
 * Evaluators that only one has are left out.
 */
export function compare(a: EvaluationDocument, b: EvaluationDocument): Compared[] {
  const compared: Compared[] = [];
  for (const one of a.figures) {
    const own = b.figures.filter(({ evaluator }) => evaluator === one.evaluator);
    const other = own.find(({ view }) => view === one.view);
    const firstOfBoth = a.figures.find(({ evaluator }) => evaluator === one.evaluator) === one;
    const shared = own.some(({ view }) => a.figures.some((o) => o.evaluator === one.evaluator && o.view === view));
    if (other) compared.push(compareFigures(one, other));
    else if (!shared && firstOfBoth && own[0]) compared.push(compareFigures(one, own[0]));
  }
  return compared;
}

/**
 * As `compare`, with intervals of the differences where both are of the very same pictures.
 *
 * @param outcomesOf what came of the examples of a figure; null where that is not at hand
 */
export async function compareWithIntervals(
  a: EvaluationDocument,
  b: EvaluationDocument,
  outcomesOf: (figure: FigureDocument) => Promise<Readonly<Record<string, Outcome>> | null>,
): Promise<Compared[]> {
  return Promise.all(
    compare(a, b).map(async (one): Promise<Compared> => {
      const [first, second] = [a, b].map(({ figures }, i) =>
        figures.find(({ evaluator, view }) => evaluator === one.evaluator && view === one.views[i]),
      ) as [FigureDocument, FigureDocument];
      if (!samePictures(first, second)) return one;
      const [ofA, ofB] = [await outcomesOf(first), await outcomesOf(second)];
      if (!ofA || !ofB) return one;
      const differences = differencesOf(ofA, ofB);
      const figures = one.figures.map((figure) => {
        const difference = own(differences, figure.name);
        return difference ? { ...figure, difference } : figure;
      });
      return { ...one, figures };
    }),
  );
}

/** The same sample of the same shards, of which the same pictures could be used. */
export const samePictures = (a: FigureDocument, b: FigureDocument): boolean =>
  ['data.shards', 'data.sample', 'data.pictures'].every((name) => a.fingerprint[name] === b.fingerprint[name]);

function compareFigures(a: FigureDocument, b: FigureDocument): Compared {
  const ofB = new Map(flatFigures(b.figures));
  const figures = flatFigures(a.figures).flatMap(([name, value]): ComparedFigure[] => {
    const other = ofB.get(name);
    return other === undefined ? [] : [{ name, a: value, b: other }];
  });
  const names = [...new Set([...Object.keys(a.fingerprint), ...Object.keys(b.fingerprint)])].sort();
  const settings = names
    .map((name) => ({ name, a: a.fingerprint[name] ?? null, b: b.fingerprint[name] ?? null }))
    .filter((one) => one.a !== one.b);
  return {
    evaluator: a.evaluator,
    views: [a.view, b.view],
    figures,
    settings,
    same: names.length - settings.length,
  };
}

/** Parts of a task that can be switched one at a time: all but its name, and what is measured. */
const switchable = ['text', 'resize', 'classes', 'captions', 'read', 'sample', 'views', 'data', 'train'] as const;

/** The first result again with one thing as the second has it. */
export interface Switched {
  /** Such as `text`, or `model`. */
  readonly what: string;
  readonly model: string;
  readonly task: Task;
}

/** One evaluation for each part of the task, and for the model, in which the second result differs from the first. */
export function switchedOne(a: EvaluationDocument, b: EvaluationDocument): Switched[] {
  const differs = (x: unknown, y: unknown) => JSON.stringify(x) !== JSON.stringify(y);
  const tasks = switchable.flatMap((what): Switched[] => {
    if (!differs(a.task[what], b.task[what])) return [];
    const { [what]: _, ...rest } = a.task;
    const own = b.task[what] === undefined ? {} : { [what]: b.task[what] };
    return [{ what, model: a.model.name, task: { ...rest, ...own } as Task }];
  });
  const model: Switched[] =
    a.model.sha256 === b.model.sha256 ? [] : [{ what: 'model', model: b.model.name, task: a.task }];
  return [...tasks, ...model];
}
