import { deviceText, keptAt, money, spentText, usedAt } from '../costs/money.ts';
import type { Prices } from '../costs/prices.ts';
import { addUsed, costOf, limitedCostOf, type Used } from '../costs/used.ts';
import type { DataIndex } from '../data/index/types.ts';
import type { Recipe } from '../recipe/schema.ts';
import type { Estimate, PhaseEstimate } from './estimate.ts';
import type { Speed } from './speed.ts';

/** What a phase is expected to use and cost, and what of that nobody can say yet. */
export interface PhaseCosts {
  readonly name: string;
  readonly used: Used;
  readonly unknown: readonly string[];
}

/**
 * What phases will cost at a speed: their steps by their operations; what comes beside steps as the phase had it that the
 * speed is from. Nothing is expected to be killed. The data is read once, for it is kept on the disk.
 * @param dataOf the data of a phase; null where it was not looked at
 */
export function planCosts(
  { phases }: Estimate,
  speed: Speed,
  prices: Prices,
  dataOf: (phase: string) => DataIndex | null,
): PhaseCosts[] {
  return phases.map((phase) => ({ name: phase.name, ...phaseCosts(phase, speed, prices, dataOf(phase.name)) }));
}

function phaseCosts(phase: PhaseEstimate, { flops, recorded }: Speed, prices: Prices, data: DataIndex | null) {
  const { curation, seconds, checkpoints, bytesPerCheckpoint, sharedBytes } = phase;
  const scoring = (1000 * (curation?.scoringFlops ?? 0)) / flops;
  const trained = 1000 * seconds! - scoring;
  const before = recorded?.used;
  const { preparing = 0, committing = 0, evaluating = 0 } = before?.ms ?? {};
  // Checkpoints are made by the clock unless the recipe says when.
  const longer = before?.ms.trained ? trained / before.ms.trained : 0;
  const larger = recorded ? bytesPerCheckpoint / recorded.bytesPerCheckpoint : 0;
  const known = checkpoints === null ? undefined : checkpoints * bytesPerCheckpoint + sharedBytes;
  const writtenBytes = known ?? (before ? before.store.writtenBytes * longer * larger : undefined);
  const dataBytes = data?.shards.reduce((sum, { bytes }) => sum + bytes, 0);
  // Evaluations fetch the model and their own data: as much as was read in all, and the data at least.
  const readBytes = before ? Math.max(before.store.readBytes, dataBytes ?? 0) : dataBytes;
  const store = {
    reads: (before?.store.reads ?? 0) * longer,
    writes: (before?.store.writes ?? 0) * longer,
    readBytes: readBytes ?? 0,
    writtenBytes: writtenBytes ?? 0,
  };
  const ms = {
    trained,
    ...(preparing > 0 && { preparing }),
    ...(committing > 0 && { committing }),
    ...(scoring > 0 && { scoring }),
    ...(evaluating > 0 && { evaluating }),
  };
  const unknown = [
    ...(before ? [] : ['loading and compiling', 'evaluation', 'the number of requests']),
    ...(writtenBytes === undefined ? ['what checkpoints write: the first steps tell how many there are'] : []),
    ...(readBytes === undefined ? ['what of the data is read, which was not looked at'] : []),
  ];
  return { used: usedAt(ms, store, prices), unknown };
}

/** Of one phase, as lines of a plan. */
export function costLinesOf({ used }: PhaseCosts, { limits }: Recipe['phases'][number], steps: number): string[] {
  const spent = spentText(used);
  const limited = limitedCostOf(used);
  const stops =
    limits?.cost !== undefined && limited > limits.cost ? Math.floor((steps * limits.cost) / limited) : null;
  return [
    `    ${deviceText(used)}`,
    ...(spent === null ? [] : [`    costs about ${spent}`]),
    ...(stops === null
      ? []
      : [`    stops at its limit of ${money(limits!.cost!, used.currency)}, after about ${stops} of its steps`]),
  ];
}

/** Of a run as a whole. */
export function totalCostLines(phases: readonly PhaseCosts[], keptBytes: number, prices: Prices): string[] {
  const all = phases.length > 0 ? phases.map(({ used }) => used).reduce(addUsed) : null;
  const kept = keptAt(keptBytes, prices);
  const unknown = [...new Set(phases.flatMap((phase) => phase.unknown))];
  return [
    ...(all && Object.keys(all.cost).length > 0
      ? [`costs about ${money(costOf(all), all.currency)} in all, where nothing is killed`]
      : ['what it costs: with --speed, and --price or SIGLIP2_PRICE, the price of an hour of the device']),
    ...(kept === null ? [] : [`keeping its checkpoints costs ${money(kept, prices.currency)} a month`]),
    ...(all && unknown.length > 0
      ? [`without ${unknown.join('; ')}${unknown.length > 2 ? '; --speed RUN/PHASE knows most of it' : ''}`]
      : []),
  ];
}
