import { type Prices, pricesFromEnvironment } from '../costs/prices.ts';
import { keptOf } from '../data/index/join-filter.ts';
import { languagesLine } from '../plan/captions.ts';
import { type Looked, lookAt } from '../plan/look.ts';
import type { Sight } from '../plan/sight.ts';
import { problemsError } from '../recipe/problem.ts';
import { counted, number, outOf } from '../runtime/count-text.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { RunnerError } from '../runtime/errors.ts';
import { size } from '../runtime/size-text.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type Estimate, estimate, type PhaseEstimate } from './estimate.ts';
import { duration } from './format-duration.ts';
import { memoryLines } from './format-memory.ts';
import { ownRoundsLines, roundsLines } from './format-rounds.ts';
import { kubernetesValues } from './kubernetes-values.ts';
import { costLinesOf, type PhaseCosts, planCosts, totalCostLines } from './plan-costs.ts';
import { estimateRounds, roundsJson } from './rounds-estimate.ts';
import type { RoundsWanted } from './rounds-options.ts';
import { sayIndexed } from './say-indexed.ts';
import { readSpeed, type Speed } from './speed.ts';

export interface PlanOptions {
  readonly json: boolean;
  /** Values for the chart of `infra/kubernetes` instead. */
  readonly kubernetes?: boolean | undefined;
  /** What will train; null where that is not known. */
  readonly device: DeviceMemory | null;
  /** As `readSpeed` takes it. */
  readonly speed?: string | undefined;
  /** Rounds on several workers that are to be planned too. */
  readonly rounds?: RoundsWanted | null;
  /** Absent: as the environment says, of a device that nobody names. */
  readonly prices?: Prices;
  readonly open: () => ObjectStore;
}

/** What is printed, and whether everything could be looked at. */
export interface PlanAnswer {
  readonly text: string;
  readonly whole: boolean;
}

/**
 * `siglip2 plan`: holds a recipe against the bucket as a run would, and says what it will take, and whether that fits the
 * device. RecipeInvalid with every mistake.
 */
export async function planFile(
  text: string,
  file: string,
  {
    json,
    kubernetes,
    device,
    speed: wanted,
    rounds: roundsOf,
    open,
    prices = pricesFromEnvironment(null),
  }: PlanOptions,
): Promise<PlanAnswer> {
  if (roundsOf && wanted === undefined) throw new RunnerError('RecipeInvalid', withoutSpeed);
  const looked = await lookAt(parseJson(text, file), { open, memory: device, onIndexed: sayIndexed() });
  const { sight } = looked;
  const unseen =
    sight.unseen && `Not looked at: the data and the checkpoints in the bucket, since ${sight.unseen.message}`;
  if (sight.problems.length > 0) {
    const error = problemsError(sight.problems);
    if (!unseen) throw error;
    throw new RunnerError(error.code, `${unseen}\n${error.message}`, { details: error.details });
  }
  const recipe = looked.resolved!;
  const speed = wanted === undefined ? null : await readSpeed(wanted, recipe.precision, open);
  const found = estimate(recipe, looked.facts, speed);
  const whole = unseen === null;
  if (kubernetes) return { text: kubernetesValues(found.phases, device?.kind ?? 'cpu', unseen), whole };
  const of = (name: string) => recipe.phases.find((phase) => phase.name === name)!;
  const costs = speed && planCosts(found, speed, prices, (name) => looked.data?.of(of(name)) ?? null);
  if (prices.hour === null && recipe.phases.some(({ limits }) => limits?.cost !== undefined))
    sight.notes.push(withoutPrice);
  const rounds = roundsOf ? estimateRounds(found, looked, roundsOf, prices) : [];
  const own = roundsOf ? [] : ownRoundsLines(estimateRounds(found, looked, null, prices));
  const roundsText = [...own, ...roundsLines(rounds)].map((line) => `${line}\n`);
  if (!json)
    return {
      text: format(found, sight, unseen, looked, { device, speed, costs, prices }) + roundsText.join(''),
      whole,
    };
  const captions = looked.captions.map(({ field, prefix, census }) => ({
    field,
    prefix,
    examples: census.looked,
    languages: Object.fromEntries(census.languages),
  }));
  const filters = filtersOf(looked);
  const answer = {
    ...found,
    device,
    problem: unseen,
    notes: sight.notes,
    captions,
    filters,
    speed,
    costs,
    ...(roundsOf && { rounds: roundsJson(rounds) }),
  };
  return { text: `${JSON.stringify(answer)}\n`, whole };
}

const withoutSpeed =
  '--link plans rounds, and how long a step takes decides what a round is; add --speed measure, --speed RUN/PHASE or --speed 2e13';

/** What the lines of a plan are made with, beside what was found. */
interface Held {
  readonly device: DeviceMemory | null;
  readonly speed: Speed | null;
  readonly costs: readonly PhaseCosts[] | null;
  readonly prices: Prices;
}

const uncounted = 'reading and decoding of large pictures, evaluation, exports, and what a first step takes to compile';

const withoutPrice =
  'a phase has a limit of cost, and no price of an hour is known here; its workers need SIGLIP2_PRICE or SIGLIP2_PRICES, and refuse the phase without';

interface FilterLeaves {
  readonly name: string;
  readonly examples: number;
  /** Sum of their weights. */
  readonly kept: number;
}

/** What each filter of the recipe leaves of each place, once. */
function filtersOf({ recipe, data }: Looked): FilterLeaves[] {
  const all = (recipe?.phases ?? []).flatMap((phase) => data?.sourcesOf(phase) ?? []);
  const found = new Map(all.map(({ source, index }) => [index, source.filter]));
  return [...found].flatMap(([index, name]) => {
    const kept = keptOf(index);
    return name === undefined || kept === null ? [] : [{ name, examples: index.examples, kept }];
  });
}

function parseJson(text: string, file: string): unknown {
  try {
    // Some editors begin a file with a mark of its encoding.
    return JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw new RunnerError('RecipeInvalid', `${file} is no JSON: ${(cause as Error).message}`, { cause });
  }
}

function format(
  found: Estimate,
  { notes }: Sight,
  unseen: string | null,
  looked: Looked,
  { device, speed, costs, prices }: Held,
): string {
  const { resolved, facts, captions } = looked;
  const lines = unseen ? [unseen, 'The recipe is right as far as it could be looked at.'] : ['The recipe is right.'];
  lines.push(...notes.map((note) => `  look at this: ${note}`));
  for (const phase of found.phases) {
    const { name, parameters, bytesPerCheckpoint, steps, examples, epochs, shards, checkpoints } = phase;
    const { mostBytes, keptBytes, sharedBytes, seconds, tokens } = phase;
    const shared = sharedBytes > 0 ? `, and ${size(sharedBytes)} once for all of them` : '';
    const cost = costs?.find((one) => one.name === name);
    lines.push(
      `  phase ${name}: ${counted(steps, 'step')}, ${counted(examples, 'example')}${epochs === null ? '' : ` (${epochs.toFixed(1)} epochs)`}`,
      `    ${number(parameters)} parameters with a table of ${number(tokens)} tokens${facts ? '' : ' at most'}, ${size(bytesPerCheckpoint)} a checkpoint${shared}`,
      ...trainedLines(phase, device),
      shards === null || checkpoints === null
        ? '    shards and checkpoints as often as the first steps tell'
        : `    ${counted(shards, 'shard')}, at most ${counted(checkpoints, 'checkpoint')}`,
      ...memoryLines(phase, device),
      `    ${operations(phase.flops)} floating-point operations${seconds === null ? '' : `, about ${duration(seconds)}`}`,
      ...curationLines(phase.curation),
      ...(cost ? costLinesOf(cost, resolved!.phases.find((one) => one.name === name)!, steps) : []),
      `    in the bucket at most ${size(mostBytes)} while it trains, ${size(keptBytes)} when it has ended`,
    );
  }
  for (const { name } of resolved?.phases ?? [])
    if (!found.phases.some((phase) => phase.name === name))
      lines.push(`  phase ${name}: its model is that of the checkpoint that it goes on from, which was not looked at`);
  for (const { field, prefix, census } of captions)
    lines.push(`  captions below ${prefix}/ (${field}): ${languagesLine(census)}`);
  for (const { name, examples, kept } of filtersOf(looked))
    lines.push(
      `  filter ${name}: ${kept === Math.floor(kept) ? '' : 'about '}${outOf(Math.round(kept), examples, 'example remains', 'examples remain')}`,
    );
  const kept = found.phases.reduce((sum, { keptBytes }) => sum + keptBytes, 0);
  if (found.phases.length > 1) lines.push(`  ${size(kept)} of checkpoints stay in all`);
  lines.push(`  ${time(found, speed)}`, ...totalCostLines(costs ?? [], kept, prices).map((line) => `  ${line}`));
  lines.push(`  not counted: ${speed?.recorded ? 'exports, indexing' : uncounted}`);
  return `${lines.join('\n')}\n`;
}

/** How long the run takes, or how to find out. */
function time({ phases }: Estimate, speed: Speed | null): string {
  if (speed === null)
    return 'how long it takes: --speed measure, --speed RUN/PHASE (as fast as that was), or --speed 2e11 says it';
  const seconds = phases.reduce((sum, phase) => sum + (phase.seconds ?? 0), 0);
  return `about ${duration(seconds)} of training in all, at ${operations(speed.flops)} operations a second, ${speed.said}`;
}

/** What is trained, where that is not all, and what that spares. */
function trainedLines({ trained, spared }: PhaseEstimate, device: DeviceMemory | null): string[] {
  if (!spared) return [];
  const bytes = device?.kind === 'gpu' ? spared.gpuBytes : spared.processBytes;
  return [
    `    ${number(trained)} of them are trained: ${size(Math.max(0, bytes))} of memory and ${(100 * spared.flops).toFixed(0)} % of the operations less than if all were`,
  ];
}

function curationLines(curation: PhaseEstimate['curation']): string[] {
  if (!curation) return [];
  const { candidatesPerExample, choosingFlops, scoringFlops, storedBytes } = curation;
  const ratio = candidatesPerExample.toFixed(candidatesPerExample % 1 === 0 ? 0 : 2);
  const scoring =
    scoringFlops === null
      ? 'the teacher scores as often as the data and its size say'
      : scoringLine(scoringFlops, storedBytes);
  return [
    `    ${ratio} ${ratio === '1' ? 'candidate' : 'candidates'} for each example that is trained on: ${operations(choosingFlops)} operations to choose`,
    `    ${scoring}`,
  ];
}

function scoringLine(flops: number, stored: number | null): string {
  if (flops === 0) return 'no teacher scores';
  return `${operations(flops)} operations of the teacher${stored ? `, once, and ${size(stored)} of embeddings in the bucket` : ''}`;
}

/** 3.2e17, as papers say it. */
const operations = (flops: number) => flops.toExponential(1).replace('e+', 'e');
