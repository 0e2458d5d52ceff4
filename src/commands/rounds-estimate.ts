import { chunkBytes } from '../checkpoint/download.ts';
import { usedAt } from '../costs/money.ts';
import type { Prices } from '../costs/prices.ts';
import type { DataIndex } from '../data/index/types.ts';
import type { Looked } from '../plan/look.ts';
import { phaseSettings } from '../recipe/settings.ts';
import { type Help, whatHelps } from '../rounds/helps.ts';
import { workPerNumber } from '../rounds/measured.ts';
import { roundParameters } from '../rounds/parameters.ts';
import { type RoundPlan, type RoundTime, roundEvents, roundRequests, roundTime } from '../rounds/time.ts';
import { partsInFlight, usualPartBytes } from '../storage/multipart.ts';
import { phaseState } from '../train/phase-state.ts';
import type { Estimate, PhaseEstimate } from './estimate.ts';
import type { RoundsWanted } from './rounds-options.ts';

/** What rounds of a phase would take. */
export interface RoundsEstimate {
  readonly phase: string;
  readonly plan: RoundPlan;
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

/** Of a short caption in Gemma's tokens; plans say that it is supposed. */
const tokensOfText = 12;

/** @param found with a speed, so that each phase has its seconds */
export function estimateRounds(
  found: Estimate,
  looked: Looked,
  wanted: RoundsWanted,
  prices: Prices,
): RoundsEstimate[] {
  const recipe = looked.resolved!;
  return found.phases.flatMap((estimated) => {
    const phase = recipe.phases.find(({ name }) => name === estimated.name)!;
    const settings = phaseSettings(recipe, phase, looked.facts ?? { examples: 0, vocabulary: null });
    const { parameters: all, frozen } = phaseState(settings);
    const parameters = all.filter(({ name }) => !frozen.has(name));
    // A softmax over the vocabulary has a gradient for every token.
    const everyRow = new Set(parameters.map(({ name }) => name).filter((name) => /(^|\.)lm_head\./.test(name)));
    if (estimated.steps === 0) return [];
    const plan: RoundPlan = {
      parameters: roundParameters(parameters),
      everyRow,
      exchange: wanted.exchange,
      workers: wanted.workers,
      ...lengthOfRound(estimated, wanted),
      tokens: Math.min(tokensOfText, settings.model.text.length),
      dataBytes: looked.data ? bytesOfExample(looked.data.of(phase)) : null,
      link: wanted.link,
      mergerLink: wanted.mergerLink,
      // As checkpoints go up and come down.
      up: { connections: partsInFlight, part: usualPartBytes },
      down: { connections: 1, part: chunkBytes },
      work: workPerNumber,
    };
    const time = roundTime(plan);
    const rounds = Math.ceil(estimated.steps / (plan.workers * plan.steps));
    const seconds = (estimated.steps / (plan.workers * plan.steps)) * time.wall;
    const requests = roundRequests(time, plan);
    const egress = plan.workers * (time.upBytes + time.downBytes);
    return [
      {
        phase: phase.name,
        plan,
        time,
        rounds,
        seconds,
        faster: estimated.seconds! / seconds,
        requests,
        events: roundEvents(plan.workers),
        egress,
        cost: roundsCost({ rounds, deviceSeconds: plan.workers * seconds, requests, egress }, prices),
        helps: whatHelps(plan),
      },
    ];
  });
}

/** A round is no longer than what there is of the phase for each worker. */
function lengthOfRound({ steps, examples, seconds }: PhaseEstimate, { length, workers }: RoundsWanted) {
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
  estimates.map(({ plan: { parameters: _, everyRow: _rows, ...plan }, ...of }) => ({ ...of, plan }));
