import { z } from 'zod';
import { parseWith, readDocument } from '../../checkpoint/documents.ts';
import { namePattern, recipeSheetKey, runPrefix } from '../../checkpoint/keys.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';
import type { ReportedEvaluation, ReportedFigure } from '../types.ts';

/** An evaluation, and where what came of its single examples lies; null where it has kept nothing of them. */
export interface EvaluationRead {
  readonly reported: ReportedEvaluation;
  readonly outcomes: { readonly key: string; readonly bytes: number; readonly sha256: string } | null;
  /** Where the pictures lie that show what it found, if there are any. */
  readonly sheet: string;
  /** What tells the pictures that it looked at: evaluations with another one can't be paired. */
  readonly pictures: string;
}

type Tree = { readonly [name: string]: unknown };
const tree = z.record(z.string(), z.unknown());
const count = z.int().min(0);

/** The evaluation that a recipe asks for, `runs/<run>/<phase>/evaluation-<hash>.json`. */
const ofRecipe = z.object({
  checkpoint: z.object({ phase: z.string().regex(namePattern), step: count }),
  examples: count.optional(),
  zero_shot: tree.optional(),
  retrieval: tree.optional(),
});

/** An evaluation by a task, `evaluations/<run>/<phase>-<step>/<task>-<id>/result.json`. */
const ofTask = z.object({
  version: z.literal(1),
  task: z.object({ name: z.string() }),
  figures: z
    .array(
      z.object({
        evaluator: z.string(),
        view: z.string(),
        examples: count,
        figures: tree,
        intervals: z.record(z.string(), z.object({ low: z.number(), high: z.number() })).default({}),
        notes: z.array(z.string()).default([]),
        fingerprint: tree.default({}),
        outcomes: z.object({ key: z.string(), bytes: count, sha256: z.string() }).optional(),
      }),
    )
    .max(1000),
});

/** Of a fingerprint, those that say which pictures were looked at. */
const ofPictures = ['data.shards', 'data.sample', 'data.pictures'];

/** More were made by a run that evaluates on the way; the last of each phase is what a report shows. */
const mostDocuments = 2000;
const mostFigures = 2000;

export interface EvaluationContext {
  readonly objects: readonly ObjectInfo[];
  /** The last step of each phase that counts: a phase that went back has given up what was evaluated beyond it. */
  readonly reached: ReadonlyMap<string, number>;
  readonly problems: string[];
  /** A folder of an evaluation by a task, `<phase>-<step>/<task>-<id>`: nothing else is looked at. */
  readonly only?: string | undefined;
}

/** Of each phase the last evaluation of each kind. What can't be read is said in `problems`. */
export async function readEvaluations(
  store: ObjectStore,
  run: string,
  { objects, reached, problems, only }: EvaluationContext,
): Promise<EvaluationRead[]> {
  const counts = ({ phase, step }: { phase: string; step: number }) =>
    step <= (reached.get(phase) ?? Number.POSITIVE_INFINITY);
  const found: EvaluationRead[] = [];
  const read = async <T>(key: string, schema: z.ZodType<T>): Promise<T | null> => {
    const document = await readDocument(store, key);
    const parsed = document && 'bytes' in document ? parseWith(schema, document.bytes) : document;
    if (parsed && 'value' in parsed && parsed.value !== undefined) return parsed.value;
    if (parsed && 'problem' in parsed) problems.push(`${key}: ${parsed.problem}`);
    return null;
  };
  const plain = objects.flatMap(({ key }) => {
    const [, of, hash] = /^([^/]+)\/evaluation-([0-9a-f]{16})\.json$/.exec(key.slice(runPrefix(run).length)) ?? [];
    return of !== undefined && namePattern.test(of) ? [{ key, sheet: recipeSheetKey({ run, phase: of }, hash!) }] : [];
  });
  for (const { key, sheet } of only === undefined ? plain.slice(0, mostDocuments) : []) {
    const document = await read(key, ofRecipe);
    if (!document) continue;
    const { checkpoint, examples = 0 } = document;
    if (!counts(checkpoint)) continue;
    for (const evaluator of ['zero_shot', 'retrieval'] as const) {
      const figures = figuresOf(document[evaluator] ?? {}, {});
      if (figures.length === 0) continue;
      const { phase, step } = checkpoint;
      found.push({
        reported: { phase, step, task: null, evaluator, view: null, examples, figures, notes: [] },
        outcomes: null,
        sheet,
        pictures: '',
      });
    }
  }
  const places: { key: string; phase: string; step: number; modified: number }[] = [];
  const prefix = `evaluations/${run}/`;
  for await (const { key, modified } of store.list(prefix)) {
    if (only !== undefined && key !== `${prefix}${only}/result.json`) continue;
    const [, phase, step] = /^([^/]+)-(\d{1,15})\/[^/]+\/result\.json$/.exec(key.slice(prefix.length)) ?? [];
    if (phase !== undefined && namePattern.test(phase))
      places.push({ key, phase, step: Number(step), modified: modified.getTime() });
  }
  // Of one step there are several where the data, the task or the code has changed: the last is what holds.
  const newest = places
    .filter(counts)
    .sort((a, b) => b.step - a.step || b.modified - a.modified || (a.key < b.key ? -1 : 1))
    .slice(0, mostDocuments);
  for (const { key, phase, step } of newest) {
    const document = await read(key, ofTask);
    for (const { evaluator, view, examples, notes, outcomes = null, fingerprint, ...one } of document?.figures ?? []) {
      const figures = figuresOf(one.figures, one.intervals);
      found.push({
        reported: { phase, step, task: document!.task.name, evaluator, view, examples, figures, notes },
        outcomes,
        sheet: key.replace(/result\.json$/, 'sheet.json'),
        pictures: JSON.stringify(ofPictures.map((name) => fingerprint[name] ?? null)),
      });
    }
  }
  return lastOfEach(found);
}

function lastOfEach(found: readonly EvaluationRead[]): EvaluationRead[] {
  const last = new Map<string, EvaluationRead>();
  for (const one of found) {
    const { phase, task, evaluator, view, step } = one.reported;
    const key = JSON.stringify([phase, task, evaluator, view]);
    const before = last.get(key);
    if (!before || before.reported.step < step) last.set(key, one);
  }
  return [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

/** Numbers of an object by path, its parts joined by a dot, as intervals are named. */
function figuresOf(
  figures: Tree,
  intervals: Readonly<Record<string, { low: number; high: number }>>,
): ReportedFigure[] {
  const found: ReportedFigure[] = [];
  const walk = (at: Tree, path: string, depth: number) => {
    for (const [name, value] of Object.entries(at)) {
      if (found.length >= mostFigures) return;
      const own = path + name;
      if (typeof value === 'number' && Number.isFinite(value))
        found.push({ name: own, value, interval: Object.hasOwn(intervals, own) ? intervals[own]! : null });
      else if (typeof value === 'object' && value !== null && !Array.isArray(value) && depth < 8)
        walk(value as Tree, `${own}.`, depth + 1);
    }
  };
  walk(figures, '', 0);
  return found;
}
