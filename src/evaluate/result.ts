import { z } from 'zod';
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

const plain = z.union([z.string(), z.number(), z.boolean()]);
const figures = z.record(z.string(), z.unknown()).refine((one) => areFigures(one, 8));

/** What readers of a result rely on: it may come from anyone. */
const resultSchema = z.looseObject({
  version: z.literal(1),
  task: z.looseObject({ name: z.string() }),
  model: z.looseObject({ name: z.string(), sha256: z.string() }),
  figures: z
    .array(
      z.looseObject({
        evaluator: z.string(),
        view: z.string(),
        figures,
        fingerprint: z.record(z.string(), plain),
        outcomes: z.looseObject({ key: z.string(), sha256: z.string() }),
      }),
    )
    .max(1000),
});

/** A result out of JSON; null for what is none. */
export function resultIn(json: unknown): EvaluationDocument | null {
  return resultSchema.safeParse(json).success ? (json as EvaluationDocument) : null;
}

function areFigures(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return true;
  if (typeof value !== 'object' || value === null || Array.isArray(value) || depth === 0) return false;
  return Object.values(value).every((one) => areFigures(one, depth - 1));
}

/** By path, its parts joined by a dot: `by_language.en.image_to_text.r1`. */
export function flatFigures(figures: Figured['figures'], path = ''): [string, number][] {
  return Object.entries(figures).flatMap(([name, value]): [string, number][] =>
    typeof value === 'number' ? [[path + name, value]] : flatFigures(value, `${path}${name}.`),
  );
}
