import type { Figured } from './evaluators/job.ts';
import type { EvaluatorName } from './evaluators/settings.ts';
import type { Task } from './tasks/task.ts';

/** One evaluator at one view, as its own small object has it. */
export interface FigureDocument extends Figured {
  readonly evaluator: EvaluatorName;
  /** Such as px-256 or patches-256. */
  readonly view: string;
  /** What came of single examples. */
  readonly outcomes: { readonly key: string; readonly bytes: number; readonly sha256: string };
}

/** `result.json`: the same bytes whatever was killed on the way, so no times are in it. */
export interface EvaluationDocument {
  readonly version: 1;
  /** What it can be done again by. */
  readonly task: Task;
  readonly model: { readonly name: string; readonly sha256: string };
  readonly figures: readonly FigureDocument[];
}

/** By path, its parts joined by a dot: `by_language.en.image_to_text.r1`. */
export function flatFigures(figures: Figured['figures'], path = ''): [string, number][] {
  return Object.entries(figures).flatMap(([name, value]): [string, number][] =>
    typeof value === 'number' ? [[path + name, value]] : flatFigures(value, `${path}${name}.`),
  );
}
