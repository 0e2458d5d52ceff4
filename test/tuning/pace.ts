import type { PhaseResult } from '../../workflows/results.ts';

/** Seconds of a device that steps of a phase took; loading, compiling, checkpoints and evaluations are not in them. */
export const secondsIn = ({ used }: PhaseResult): number => ((used?.ms.trained ?? 0) + (used?.ms.repeated ?? 0)) / 1000;

/** What a step takes when least disturbs it, from some measurements of each method in turns. */
export function stepSeconds(measured: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const names = Object.keys(measured[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, Math.min(...measured.map((one) => one[name]!))]));
}

/** So many steps fit. */
export const stepsWithin = (seconds: number, step: number): number => Math.max(1, Math.round(seconds / step));
