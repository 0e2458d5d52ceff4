import { setImmediate } from 'node:timers/promises';
import type { Outcome } from '../../evaluate/evaluators/contract.ts';
import { outcomesIn } from '../../evaluate/evaluators/outcomes.ts';
import { differencesOf } from '../../evaluate/intervals.ts';
import { own } from '../../recipe/own.ts';
import { isRunnerError } from '../../runtime/errors.ts';
import { sha256 } from '../../runtime/hash.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { nameOfEvaluation } from '../evaluation.ts';
import { isCount } from '../numbers.ts';
import type { ComparedFigure, Comparison, PhaseReport, Range } from '../types.ts';
import type { EvaluationRead } from './evaluations.ts';

/** What came of 50,000 pictures and 250,000 captions in ten figures has 24 MB; a larger file is not fetched for a page. */
const mostOutcomeBytes = 64 * 2 ** 20;

/** Others that a phase is held against beside the one that it came from. */
const mostBeside = 3;

/** What tells which phases can be held against one another. */
export interface ComparedPhase extends Pick<PhaseReport, 'name' | 'parent'> {
  readonly start: string;
  readonly examples: number | null;
}

/**
 * Each phase against the one that it came from and against those before it in the recipe that began alike and saw as many
 * examples, by what evaluated both: so a phase is told from a longer training. Differences are paired over the same pictures where
 * both have kept what came of them; else they are said without an interval. Cost: 0.6 s a figure at 50,000 pictures.
 */
export async function compared(
  store: ObjectStore,
  phases: readonly ComparedPhase[],
  evaluations: readonly EvaluationRead[],
  problems: string[],
): Promise<Comparison[]> {
  const found: Comparison[] = [];
  for (const [i, { name: phase, parent }] of phases.entries()) {
    const others = [
      ...(parent === null ? [] : [{ parent }]),
      ...besides(phases, i).map((name) => ({ parent: name, beside: true as const })),
    ];
    for (const other of others)
      for (const { before, after, what } of evaluatedAlike(of(evaluations, other.parent), of(evaluations, phase))) {
        const rows = await rowsOf(store, before, after, problems);
        if (rows.length > 0) found.push({ phase, ...other, what, rows });
      }
  }
  return found;
}

const of = (evaluations: readonly EvaluationRead[], phase: string) =>
  evaluations.filter(({ reported }) => reported.phase === phase);

function besides(phases: readonly ComparedPhase[], i: number): string[] {
  const { start, examples } = phases[i]!;
  if (examples === null) return [];
  // Batches of other sizes end a few examples apart.
  const alike = ({ examples: other }: ComparedPhase) => other !== null && Math.abs(other - examples) <= 0.01 * examples;
  return phases
    .slice(0, i)
    .filter((other) => other.start === start && alike(other))
    .map(({ name }) => name)
    .slice(-mostBeside);
}

/** The same task and evaluator at the same view; at the one view of each where a phase has changed its input. */
export function evaluatedAlike(before: readonly EvaluationRead[], after: readonly EvaluationRead[]) {
  const kind = ({ reported: { task, evaluator } }: EvaluationRead) => JSON.stringify([task, evaluator]);
  return after.flatMap((own) => {
    const what = nameOfEvaluation(own.reported);
    const same = before.find(({ reported }) => nameOfEvaluation(reported) === what);
    if (same) return [{ before: same, after: own, what }];
    const [others, owns] = [before, after].map((all) => all.filter((one) => kind(one) === kind(own)));
    if (others!.length !== 1 || owns!.length !== 1) return [];
    const { task, evaluator, view } = own.reported;
    const views = `${others![0]!.reported.view} before, ${view} after`;
    return [{ before: others![0]!, after: own, what: nameOfEvaluation({ task, evaluator, view: views }) }];
  });
}

/** Every figure that both have. Paired over the same pictures where both have kept what came of them. */
export async function rowsOf(
  store: ObjectStore,
  before: EvaluationRead,
  after: EvaluationRead,
  problems: string[],
): Promise<ComparedFigure[]> {
  const both = before.reported.figures.flatMap(({ name, value }) => {
    const other = after.reported.figures.find((figure) => figure.name === name);
    return other && !isCount(name) ? [{ name, before: value, after: other.value }] : [];
  });
  if (both.length === 0) return [];
  if (before.pictures !== after.pictures) return both.map((row) => ({ ...row, interval: null }));
  const [a, b] = [await outcomesOf(store, before, problems), await outcomesOf(store, after, problems)];
  const differences = a && b ? await differencesIn(a, b, new Set(both.map(({ name }) => name)), after, problems) : {};
  return both.map((row) => {
    const { low, high } = own(differences, row.name) ?? {};
    return { ...row, interval: low === undefined || high === undefined ? null : { low, high } };
  });
}

/**
 * Of what the bucket has there is no telling that it fits together. A figure at a time: a worker that writes a report also beats
 * for the shard that it trains, and one that is silent for 8 s counts as killed.
 */
async function differencesIn(
  a: Readonly<Record<string, Outcome>>,
  b: Readonly<Record<string, Outcome>>,
  names: ReadonlySet<string>,
  { outcomes }: EvaluationRead,
  problems: string[],
): Promise<Readonly<Record<string, Range>>> {
  const found: Record<string, Range> = {};
  try {
    for (const name of names) {
      Object.assign(
        found,
        differencesOf(a, b, (one) => one === name),
      );
      await setImmediate();
    }
    return found;
  } catch (error) {
    if (!isRunnerError(error, 'DataContract')) throw error;
    problems.push(`${outcomes?.key}: ${error.message}`);
    return {};
  }
}

/** By figure; null where it is not there, or not what was written. */
async function outcomesOf(
  store: ObjectStore,
  { outcomes }: EvaluationRead,
  problems: string[],
): Promise<Readonly<Record<string, Outcome>> | null> {
  if (!outcomes || outcomes.bytes > mostOutcomeBytes) return null;
  try {
    const info = await store.head(outcomes.key);
    if (!info || info.bytes !== outcomes.bytes) return null;
    const bytes = await store.get(outcomes.key);
    if (sha256(bytes) !== outcomes.sha256) throw new Error('it has other bytes than its evaluation says');
    return await outcomesIn(bytes);
  } catch (error) {
    problems.push(`${outcomes.key}: ${(error as Error).message}`);
    return null;
  }
}
