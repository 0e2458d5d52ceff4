import { parseName } from '../../checkpoint/names.ts';
import { settingDifferences } from '../../recipe/setting-differences.ts';
import { RunnerError } from '../../runtime/errors.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import type { ComparedSide, Comparison, ComparisonReport, FieldDifference, PhaseReport } from '../types.ts';
import { evaluatedAlike, rowsOf } from './comparisons.ts';
import type { EvaluationRead } from './evaluations.ts';
import { type ReadOptions, readParts } from './report.ts';

const mostFields = 2000;

interface Side extends ComparedSide {
  readonly phases: readonly PhaseReport[];
  readonly evaluations: readonly EvaluationRead[];
  readonly at: ReadOptions['at'];
  readonly recipe: unknown;
  readonly problems: readonly string[];
}

/**
 * Two of what the bucket has, side by side: recipes field by field, losses, figures paired over the same pictures. Each is a
 * run, RUN/PHASE, RUN/PHASE@STEP, or the key of a result.json. Phases of two runs are compared by their names. Errors:
 * RecipeInvalid, ObjectMissing.
 */
export async function readComparison(store: ObjectStore, a: string, b: string): Promise<ComparisonReport> {
  const [first, second] = [await sideOf(store, a), await sideOf(store, b)];
  const pairs = pairsOf(first, second);
  if (pairs.length === 0)
    throw new RunnerError(
      'RecipeInvalid',
      `${a} and ${b} have no phase of one name: ${namesOf(first)}; ${namesOf(second)}; name a phase of each, such as ${first.run}/${first.phases[0]?.name ?? 'pretrain'}`,
    );
  const problems = [...new Set([...first.problems, ...second.problems])];
  const figures: Comparison[] = [];
  for (const [one, other] of pairs)
    for (const { before, after, what } of evaluatedAlike(
      first.evaluations.filter(({ reported }) => reported.phase === one.name),
      second.evaluations.filter(({ reported }) => reported.phase === other.name),
    )) {
      const rows = await rowsOf(store, before, after, problems);
      const label = (side: Side, { reported: { phase, step } }: EvaluationRead) => `${side.run}/${phase}@${step}`;
      if (rows.length > 0) figures.push({ parent: label(first, before), phase: label(second, after), what, rows });
    }
  return {
    a: { name: first.name, run: first.run, facts: first.facts },
    b: { name: second.name, run: second.run, facts: second.facts },
    fields: fieldsOf(first.recipe, second.recipe),
    recipes: first.recipe !== null && second.recipe !== null,
    pairs: pairs.map(([one, other]) => ({ a: one, b: other })),
    figures,
    problems,
  };
}

const namesOf = ({ name, phases }: Side) => `${name} has ${phases.map((phase) => phase.name).join(', ') || 'none'}`;

async function sideOf(store: ObjectStore, what: string): Promise<Side> {
  const { run, ...at } = placeOf(what);
  const { phase, step } = at;
  const options: ReadOptions = phase === undefined ? {} : { at: { ...at, phase } };
  const { report, evaluations } = await readParts(store, run, options);
  const phases = report.phases.filter(({ name }) => phase === undefined || name === phase);
  if (phases.length === 0)
    throw new RunnerError(
      'ObjectMissing',
      `run ${run} has no phase ${phase}; npm run siglip2 -- ls ${run} shows what is there`,
    );
  return {
    name: what,
    run,
    facts: report.facts,
    phases: phases.map((one) => (step === undefined ? one : upTo(one, step))),
    evaluations,
    at: options.at,
    recipe: report.recipe === null ? null : (JSON.parse(report.recipe) as unknown),
    problems: report.problems,
  };
}

const resultPattern = /^evaluations\/([^/]+)\/(([^/]+)-(\d{1,15})\/[^/]+)\/result\.json$/;

function placeOf(what: string): { run: string; phase?: string; step?: number; evaluation?: string } {
  const result = resultPattern.exec(what);
  if (!result) return parseName(what);
  const [, run, evaluation, phase, step] = result as unknown as [string, string, string, string, string];
  return { ...parseName(`${run}/${phase}@${step}`), evaluation };
}

const upTo = (phase: PhaseReport, step: number): PhaseReport => ({
  ...phase,
  curves: phase.curves.map(({ name, points }) => ({ name, points: points.filter(([at]) => at <= step) })),
});

/** Phases of one name; where a phase is named, it and that of the other side, or the one of its name there. */
function pairsOf(a: Side, b: Side): [PhaseReport, PhaseReport][] {
  if (a.at && b.at) return [[a.phases[0]!, b.phases[0]!]];
  return a.phases.flatMap((one): [PhaseReport, PhaseReport][] => {
    const other = b.phases.find(({ name }) => name === one.name);
    return other ? [[one, other]] : [];
  });
}

/** Phases are told by their names, not by their places. */
function fieldsOf(a: unknown, b: unknown): FieldDifference[] {
  if (a === null || b === null) return [];
  return settingDifferences(byName(a), byName(b))
    .slice(0, mostFields)
    .map(({ at, theirs, ours }) => ({ at, a: jsonOf(theirs), b: jsonOf(ours) }));
}

const jsonOf = (value: unknown) => (value === undefined ? 'not said' : JSON.stringify(value));

function byName(recipe: unknown): unknown {
  const { phases, ...rest } = recipe as { phases?: unknown };
  if (!Array.isArray(phases)) return recipe;
  const named = phases.map((phase, i) => {
    const { name = i, ...own } = (phase ?? {}) as { name?: unknown };
    return [String(name), own] as const;
  });
  return { ...rest, phases: Object.fromEntries(named) };
}
