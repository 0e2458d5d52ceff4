/** Where a phase is cut. Pure functions of the step alone, so that a resume cuts at the same places. */

/** The next multiple of `size` after `step`, the next branch, or `last`: whichever comes first. */
export function nextCut(step: number, size: number, last: number, branches: readonly number[] = []): number {
  const next = Math.min(last, (Math.floor(step / size) + 1) * size);
  return Math.min(next, ...branches.filter((branch) => branch > step));
}

/** Every cut after `from` up to and with `to`. */
export function cuts(from: number, to: number, size: number, branches: readonly number[] = []): number[] {
  const steps: number[] = [];
  for (let step = from; step < to; ) {
    step = nextCut(step, size, to, branches);
    steps.push(step);
  }
  return steps;
}
