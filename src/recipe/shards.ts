/** Where a phase is cut. Pure functions of the step alone, so that a resume cuts at the same places. */

/** The next multiple of `size` after `step`, or `last` when that comes first. */
export function nextCut(step: number, size: number, last: number): number {
  return Math.min(last, (Math.floor(step / size) + 1) * size);
}

/** Every cut after `from` up to and with `to`. */
export function cuts(from: number, to: number, size: number): number[] {
  const steps: number[] = [];
  for (let step = from; step < to; ) {
    step = nextCut(step, size, to);
    steps.push(step);
  }
  return steps;
}
