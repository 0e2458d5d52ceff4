import { phasesOf } from '../../checkpoint/commits.ts';
import { parseRun, readDocument } from '../../checkpoint/documents.ts';
import { runKey, runPrefix } from '../../checkpoint/keys.ts';
import { RunnerError } from '../../runtime/errors.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';
import type { Fact, RunReport } from '../types.ts';
import { compared } from './comparisons.ts';
import { readEvaluations } from './evaluations.ts';
import { type PhaseRead, readPhase } from './phase.ts';

/** As a recipe in run.json, of any release, has them; all of it is looked at before it is believed. */
interface Written {
  readonly phases?: readonly { readonly name?: unknown; readonly from?: unknown }[];
  readonly data?: { readonly train?: unknown; readonly mixture?: unknown; readonly evaluation?: unknown };
  readonly model?: unknown;
  readonly seed?: unknown;
}

/**
 * What the bucket knows of a run, for a report. It reads documents and figures, never weights: a piece of figures for each
 * checkpoint that was made, one after another, and keeps of them a bounded number of values. ObjectMissing where nothing is there.
 */
export async function readReport(store: ObjectStore, run: string): Promise<RunReport> {
  const objects: ObjectInfo[] = [];
  for await (const info of store.list(runPrefix(run))) objects.push(info);
  if (objects.length === 0)
    throw new RunnerError(
      'ObjectMissing',
      `bucket ${store.bucket} has nothing of run ${run}; npm run siglip2 -- ls lists runs`,
    );
  const problems: string[] = [];
  const { recipe, facts } = await readRun(store, run, problems);
  const written = Array.isArray(recipe?.phases) ? recipe.phases : [];
  const names = written.flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
  const found = await phasesOf(store, run);
  const ordered = [
    ...names.filter((name) => found.includes(name)),
    ...found.filter((name) => !names.includes(name)).sort(),
  ];
  const phases: PhaseRead[] = [];
  for (const phase of ordered) {
    const from = written.find(({ name }) => name === phase)?.from;
    const parent = typeof from === 'string' && ordered.includes(from) ? from : null;
    phases.push(await readPhase(store, { run, phase }, { parent, from: fromText(from), objects, problems }));
  }
  const reached = new Map(phases.map(({ report, reached }) => [report.name, reached ?? Number.POSITIVE_INFINITY]));
  const evaluations = await readEvaluations(store, run, { objects, reached, problems });
  const versions = [...new Set(phases.flatMap(({ codeVersions }) => codeVersions))].sort();
  const bytes = objects.reduce((sum, info) => sum + info.bytes, 0);
  return {
    run,
    recipe: recipe === null ? null : JSON.stringify(recipe, null, 2),
    facts: [
      ...facts,
      ...(versions.length > 0 ? [['code version', versions.join(', ')] as const] : []),
      [
        'in the bucket',
        `${objects.length} objects, ${bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`}`,
      ],
    ],
    phases: phases.map(({ report }) => report),
    evaluations: evaluations.map(({ reported }) => reported),
    comparisons: await compared(
      store,
      phases.map(({ report: { name, parent }, start, examples }) => ({ name, parent, start, examples })),
      evaluations,
      problems,
    ),
    problems,
  };
}

/** Where a phase begins, as its recipe writes it. */
function fromText(from: unknown): string {
  if (from === undefined || from === null) return 'nothing';
  if (typeof from === 'string') return from;
  const { run, phase, step } = from as { run?: unknown; phase?: unknown; step?: unknown };
  return `${String(run)}/${String(phase)}${step === undefined ? '' : `@${String(step)}`}`;
}

async function readRun(
  store: ObjectStore,
  run: string,
  problems: string[],
): Promise<{ recipe: Written | null; facts: Fact[] }> {
  const key = runKey(run);
  const document = await readDocument(store, key);
  if (!document) return { recipe: null, facts: [] };
  const parsed = 'bytes' in document ? parseRun(document.bytes) : { problem: document.problem };
  if (parsed.problem !== undefined || !('bytes' in document)) {
    problems.push(`${key}: ${parsed.problem}`);
    return { recipe: null, facts: [] };
  }
  const { created, recipe, recipeHash } = JSON.parse(document.bytes.toString('utf8')) as {
    created?: unknown;
    recipe?: Written;
    recipeHash: string;
  };
  const isRecipe = typeof recipe === 'object' && recipe !== null && !Array.isArray(recipe);
  const { data, seed } = isRecipe ? recipe : {};
  const said: [string, unknown][] = [
    ['begun', created],
    ['recipe', `sha256 ${recipeHash.slice(0, 16)}`],
    ['seed', seed],
    ['trained on', data?.mixture ?? data?.train],
    ['evaluated on', data?.evaluation],
    ['model', isRecipe ? recipe.model : undefined],
  ];
  const facts = said.flatMap(([name, value]): Fact[] => (value === undefined ? [] : [[name, plainText(value)]]));
  return { recipe: isRecipe ? recipe : null, facts };
}

/** A piece of a recipe in a line: `vision: Ti, patch 16`. */
export function plainText(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return value.map(plainText).join(', ');
  return Object.entries(value)
    .map(([name, one]) =>
      typeof one === 'object' && one !== null && !Array.isArray(one)
        ? `${name} (${plainText(one)})`
        : `${name} ${plainText(one)}`,
    )
    .join(', ');
}
