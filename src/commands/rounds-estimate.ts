import { usedAt } from '../costs/money.ts';
import type { Prices } from '../costs/prices.ts';
import type { DataIndex } from '../data/index/types.ts';
import { textBank } from '../objectives/text-bank.ts';
import type { Looked } from '../plan/look.ts';
import { mostOf, type Replicas } from '../recipe/replicas.ts';
import { phaseSettings } from '../recipe/settings.ts';
import { trainedSettings } from '../recipe/trained-settings.ts';
import { type Help, whatHelps } from '../rounds/helps.ts';
import { smallAsks, workPerByte, workPerNumber } from '../rounds/measured.ts';
import { numbersIn } from '../rounds/parameters.ts';
import { type RoundPlan, type RoundTime, roundEvents, roundRequests, roundTime } from '../rounds/time.ts';
import { RunnerError } from '../runtime/errors.ts';
import { wholeBytes } from '../train/checkpoint-bytes.ts';
import { exchangedOf } from '../train/exchanged.ts';
import { computedState } from '../train/phase-state.ts';
import type { Estimate, PhaseEstimate } from './estimate.ts';
import type { RoundsWanted } from './rounds-options.ts';
import { roundWays } from './rounds-ways.ts';

/** What rounds of a phase would take. */
export interface RoundsEstimate {
  readonly phase: string;
  readonly plan: RoundPlan;
  readonly moments: Replicas['moments'];
  readonly time: RoundTime;
  /** At the examples of the phase: how many there are, and how much sooner it ends than on one worker. */
  readonly rounds: number;
  readonly seconds: number;
  readonly faster: number;
  readonly requests: { readonly writes: number; readonly reads: number };
  readonly events: { readonly least: number; readonly most: number };
  /** Bytes that leave the store in a round, without examples. */
  readonly egress: number;
  readonly cost: RoundsCost;
  readonly helps: readonly Help[];
}

/** Money for all rounds of a phase, without examples; null: nobody says the price. */
export interface RoundsCost {
  readonly currency: string | null;
  /** Devices are held from the first round to the last, whether they make steps or wait. */
  readonly devices: number | null;
  readonly requests: number | null;
  readonly egress: number | null;
}

/** A phase as its rounds are planned. */
interface PhaseRounds extends Pick<Replicas, 'exchange' | 'moments'> {
  readonly workers: number;
  readonly length: NonNullable<RoundsWanted['length']>;
  /** Of the outer step. */
  readonly momentum: number;
}

/** As options say, else as the recipe; null where neither says how many workers. */
function roundsOf(replicas: Replicas | undefined, wanted: RoundsWanted | null): PhaseRounds | null {
  const workers = wanted?.workers ?? (replicas && mostOf(replicas));
  if (workers === undefined) return null;
  return {
    workers,
    length: wanted?.length ?? (replicas ? { steps: replicas.steps } : { minutes: usualMinutes }),
    exchange: wanted?.exchange ?? replicas?.exchange ?? 'int8',
    moments: wanted?.moments ?? replicas?.moments ?? 'averaged',
    momentum: replicas?.outer.momentum ?? usualMomentum,
  };
}

const anyLink = { bits: 1e9, latency: 0, loss: 0 };
const usualMinutes = 10;
const usualMomentum = 0.9;

/** Of a short caption in Gemma's tokens; plans say that it is supposed. */
const tokensOfText = 12;

/**
 * @param found with a speed, so that each phase has its seconds
 * @param wanted null: those of the recipe alone, of which times mean nothing
 */
export function estimateRounds(
  found: Estimate,
  looked: Looked,
  wanted: RoundsWanted | null,
  prices: Prices,
): RoundsEstimate[] {
  const recipe = looked.resolved!;
  if (wanted && wanted.workers === null && recipe.phases.every(({ replicas }) => replicas === undefined))
    throw new RunnerError('RecipeInvalid', '--link plans rounds on several workers; say how many by --workers N');
  const { link, mergerLink } = wanted ?? { link: anyLink, mergerLink: anyLink };
  return found.phases.flatMap((estimated) => {
    const phase = recipe.phases.find(({ name }) => name === estimated.name)!;
    if (estimated.steps === 0) return [];
    const written = phaseSettings(recipe, phase, looked.facts ?? { examples: 0, vocabulary: null });
    const rounds = roundsOf(written.replicas as Replicas | undefined, wanted);
    if (!rounds) return [];
    const { workers } = rounds;
    const length = lengthOfRound(estimated, rounds);
    // A bank is of as many replicas as are planned.
    const replicas = written.replicas && { ...written.replicas, number: workers, steps: length.steps };
    const settings = { ...written, ...(replicas && { replicas }) };
    const trained = trainedSettings(settings);
    const { bank } = trained.objectives.sigmoid ?? {};
    const noState = { tensors: new Map() };
    const { parameters, others, moments } = exchangedOf(settings, rounds, noState);
    const state = wholeBytes(trained, rounds.moments === 'reset');
    const outer = rounds.momentum > 0 ? 4 * numbersIn(parameters) : 0;
    // A softmax over the vocabulary has a gradient for every token.
    const everyRow = new Set(parameters.map(({ name }) => name).filter((name) => /(^|\.)lm_head\./.test(name)));
    const plan: RoundPlan = {
      parameters,
      others,
      besideMoments: exchangedOf(settings, { moments: 'reset' }, noState).others,
      kept: rounds.moments === 'kept' ? 4 * numbersIn(moments) : 0,
      ...(bank && { bank: { name: computedState(textBank), rows: bank.rows } }),
      state,
      outer,
      moments: state - wholeBytes(trained, true),
      everyRow,
      exchange: rounds.exchange,
      workers,
      ...length,
      tokens: Math.min(tokensOfText, settings.model.text.length),
      dataBytes: looked.data ? bytesOfExample(looked.data.of(phase)) : null,
      link,
      mergerLink,
      ...roundWays,
      work: workPerNumber,
      passes: workPerByte,
      asks: smallAsks,
    };
    const time = roundTime(plan);
    const count = Math.ceil(estimated.steps / (plan.workers * plan.steps));
    const seconds = (estimated.steps / (plan.workers * plan.steps)) * time.wall;
    const requests = roundRequests(time, plan);
    const egress = plan.workers * (time.upBytes + time.downBytes);
    return [
      {
        phase: phase.name,
        plan,
        moments: rounds.moments,
        time,
        rounds: count,
        seconds,
        faster: estimated.seconds! / seconds,
        requests,
        events: roundEvents(plan.workers),
        egress,
        cost: roundsCost({ rounds: count, deviceSeconds: plan.workers * seconds, requests, egress }, prices),
        helps: whatHelps(plan),
      },
    ];
  });
}

/** A round is no longer than what there is of the phase for each worker. */
function lengthOfRound({ steps, examples, seconds }: PhaseEstimate, { length, workers }: PhaseRounds) {
  const stepSeconds = seconds! / steps;
  const wanted = 'steps' in length ? length.steps : Math.round((60 * length.minutes) / stepSeconds);
  return {
    steps: Math.max(1, Math.min(wanted, Math.ceil(steps / workers))),
    examples: examples / steps,
    stepSeconds,
  };
}

function roundsCost(
  of: Pick<RoundsEstimate, 'rounds' | 'requests' | 'egress'> & { readonly deviceSeconds: number },
  prices: Prices,
): RoundsCost {
  const store = {
    writes: of.rounds * of.requests.writes,
    reads: of.rounds * of.requests.reads,
    readBytes: of.rounds * of.egress,
    writtenBytes: 0,
  };
  const {
    trained: devices = null,
    requests = null,
    egress = null,
  } = usedAt({ trained: 1000 * of.deviceSeconds }, store, prices).cost;
  return { currency: prices.currency, devices, requests, egress };
}

function bytesOfExample({ shards, examples }: Pick<DataIndex, 'shards' | 'examples'>): number | null {
  const bytes = shards.reduce((sum, shard) => sum + shard.bytes, 0);
  return examples > 0 ? bytes / examples : null;
}

/** The same for programs, without the list of parameters. */
export const roundsJson = (estimates: readonly RoundsEstimate[]) =>
  estimates.map(
    ({ plan: { parameters: _, others: _others, besideMoments: _beside, everyRow: _rows, ...plan }, ...of }) => ({
      ...of,
      plan,
    }),
  );
