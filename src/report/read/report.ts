import pMap from 'p-map';
import { phasesOf } from '../../checkpoint/commits.ts';
import { parseRun, readDocument } from '../../checkpoint/documents.ts';
import { runKey, runPrefix } from '../../checkpoint/keys.ts';
import { type Prices, pricesFromEnvironment } from '../../costs/prices.ts';
import { counted } from '../../runtime/count-text.ts';
import { RunnerError } from '../../runtime/errors.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';
import { byteText } from '../numbers.ts';
import type { Fact, PhaseLink, RunReport } from '../types.ts';
import { compared } from './comparisons.ts';
import { costFacts, costTable } from './costs.ts';
import { trainedData } from './data-read.ts';
import { type EvaluationRead, readEvaluations } from './evaluations.ts';
import { readHistory } from './history.ts';
import { type PhaseRead, readPhase } from './phase.ts';
import { readCurated, readSheets } from './sheets.ts';

/** As a recipe in run.json, of any release, has them; all of it is looked at before it is believed. */
interface Written {
  readonly phases?: readonly {
    readonly name?: unknown;
    readonly from?: unknown;
    readonly curation?: { readonly teacher?: unknown };
  }[];
  readonly data?: { readonly train?: unknown; readonly mixture?: unknown; readonly evaluation?: unknown };
  readonly model?: unknown;
  readonly seed?: unknown;
}

/**
 * What the bucket knows of a run, for a report. It reads documents and figures, never weights: a piece of figures for each
 * checkpoint that was made, one after another, and keeps of them a bounded number of values. ObjectMissing where nothing is there.
 */
export async function readReport(store: ObjectStore, run: string, options: ReadOptions = {}): Promise<RunReport> {
  return (await readParts(store, run, options)).report;
}

export interface ReadOptions {
  /** What is paid, for what no worker has counted; absent: as the environment says. */
  readonly prices?: Pick<Prices, 'hour' | 'storage' | 'currency'>;
  /** What is looked at of a run, where that is not how it stands: a phase as it was at a step, one evaluation of it. */
  readonly at?: {
    readonly phase: string;
    readonly step?: number | undefined;
    readonly evaluation?: string | undefined;
  };
}

/** The same, and where what came of single examples lies. */
export async function readParts(
  store: ObjectStore,
  run: string,
  { prices = pricesFromEnvironment(null), at }: ReadOptions = {},
): Promise<{ readonly report: RunReport; readonly evaluations: readonly EvaluationRead[] }> {
  const objects: ObjectInfo[] = [];
  // What comes and goes beside a run, and the page itself, makes no other page of it.
  const passing = /^(report\.html$|[^/]+\/(pins|work)\/)/;
  for await (const info of store.list(runPrefix(run)))
    if (!passing.test(info.key.slice(runPrefix(run).length))) objects.push(info);
  if (objects.length === 0)
    throw new RunnerError(
      'ObjectMissing',
      `bucket ${store.bucket} has nothing of run ${run}; npm run siglip2 -- ls lists runs`,
    );
  const problems: string[] = [];
  const { recipe, facts } = await readRun(store, run, problems);
  const written = Array.isArray(recipe?.phases) ? recipe.phases.filter((one) => typeof one === 'object' && one) : [];
  const names = written.flatMap(({ name }) => (typeof name === 'string' ? [name] : []));
  const found = await phasesOf(store, run);
  const ordered = [
    ...names.filter((name) => found.includes(name)),
    ...found.filter((name) => !names.includes(name)).sort(),
  ];
  const data = await trainedData(store, run, objects);
  const phases: PhaseRead[] = [];
  for (const phase of ordered) {
    const { from, curation } = written.find(({ name }) => name === phase) ?? {};
    const parent = typeof from === 'string' && ordered.includes(from) ? from : null;
    const teacher = curation?.teacher;
    const links: PhaseLink[] = [
      ...(isNamed(from) ? [{ from: fromText(from), kind: 'weights' as const }] : []),
      ...(isNamed(teacher) ? [{ from: fromText(teacher), kind: 'teacher' as const }] : []),
    ];
    phases.push(
      await readPhase(store, { run, phase }, { parent, links, from: fromText(from), objects, data, problems }),
    );
  }
  const reached = new Map(phases.map(({ report, reached }) => [report.name, reached ?? Number.POSITIVE_INFINITY]));
  if (at?.step !== undefined) reached.set(at.phase, at.step);
  const all = await readEvaluations(store, run, { objects, reached, problems, only: at?.evaluation });
  const evaluations = all.filter(
    ({ reported }) => at?.step === undefined || reported.phase !== at.phase || reported.step === at.step,
  );
  const versions = [...new Set(phases.flatMap(({ codeVersions }) => codeVersions))].sort();
  const bytes = objects.reduce((sum, info) => sum + info.bytes, 0);
  const costs = costTable(phases.map(({ report: { name }, used }) => ({ name, used })));
  const report: RunReport = {
    run,
    recipe: recipe === null ? null : JSON.stringify(recipe, null, 2),
    facts: [
      ...facts,
      ...(versions.length > 0 ? [['code version', versions.join(', ')] as const] : []),
      ...spentFacts(phases, bytes, prices),
      ['in the bucket', `${counted(objects.length, 'object')}, ${byteText(bytes)}`],
    ],
    events: (await readHistory(store, { run, phase: null }, problems)).events,
    phases: phases.map(({ report }) => report),
    evaluations: evaluations.map(({ reported }) => reported),
    comparisons: await compared(
      store,
      phases.map(({ report: { name, parent }, start, examples }) => ({ name, parent, start, examples })),
      evaluations,
      problems,
    ),
    sheets: await readSheets(store, evaluations, ordered, problems),
    curated: (
      await pMap(ordered, (phase) => readCurated(store, { run, phase }, objects, problems), { concurrency: 4 })
    ).flatMap((one) => one ?? []),
    ...(costs && { costs }),
    problems,
  };
  return { report, evaluations };
}

function spentFacts(phases: readonly PhaseRead[], bytes: number, prices: NonNullable<ReadOptions['prices']>): Fact[] {
  const hours = phases.reduce((sum, { deviceMs }) => sum + deviceMs, 0) / 3_600_000;
  const uploaded = phases.reduce((sum, { uploaded }) => sum + uploaded, 0);
  const used = phases.map((phase) => phase.used);
  const cost = costFacts(used, hours, bytes, prices);
  return [['device hours', hours.toFixed(2)], ...cost, ['uploaded', `about ${byteText(uploaded)} of checkpoints`]];
}

const isNamed = (from: unknown): boolean => from !== undefined && from !== null;

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
