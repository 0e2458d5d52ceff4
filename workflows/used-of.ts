import type { RunPlan } from '../activities/types/plan.ts';
import type { SkippedOf } from '../activities/types/shard.ts';
import type { PhaseResult, RecipeResult } from './results.ts';

const reasonsShown = 5;

/**
 * What a run has used of its data. Phases of the same data meet the same faults: of each data set those count that the phase
 * met that met most.
 */
export function usedOf(
  { examples, corrupt, evaluation, phases: planned }: RunPlan,
  phases: readonly PhaseResult[],
): RecipeResult['data'] {
  const most = new Map<string | undefined, SkippedOf>();
  for (const { phase, skipped } of phases) {
    const data = planned.find((plan) => plan.phase === phase)?.dataFingerprint;
    if (skipped && skipped.members > (most.get(data)?.members ?? 0)) most.set(data, skipped);
  }
  const met = [...most.values()];
  const members = met.reduce((sum, { members }) => sum + members, evaluation?.corrupt ?? 0);
  const reasons = met.flatMap(({ reasons }) => reasons).sort((a, b) => b.members - a.members);
  // What no phase has come across is known from the shards.
  const all = { examples, corrupt: Math.max(corrupt, members) };
  return reasons.length === 0 ? all : { ...all, reasons: reasons.slice(0, reasonsShown) };
}
