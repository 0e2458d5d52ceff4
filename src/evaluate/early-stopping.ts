/** What a checkpoint of a phase came to by the figure that may end the phase. */
export interface WatchedFigure {
  readonly revision: number;
  readonly step: number;
  /** Of the checkpoint. */
  readonly sha256: string;
  readonly value: number;
  /** Whether it was higher than what rose before it by more than its interval, or was the first. */
  readonly rose: boolean;
  /** Where its figures lie. */
  readonly figures: string;
}

/**
 * The figures that come before one at a step of a revision, by step. A revision counts from its first step on, and what older
 * ones had from there was given up.
 */
export function figuresBefore<T extends Pick<WatchedFigure, 'revision' | 'step'>>(
  known: readonly T[],
  { revision, step }: Pick<WatchedFigure, 'revision' | 'step'>,
): T[] {
  const kept: T[] = [];
  const newestFirst = known
    .filter((one) => one.revision <= revision && one.step < step)
    .sort((a, b) => b.revision - a.revision || b.step - a.step);
  for (const one of newestFirst) {
    const later = kept.at(-1);
    if (!later || one.revision === later.revision || one.step < later.step) kept.push(one);
  }
  return kept.reverse();
}

/** What rose last: a figure has to be higher than this one. */
export const lastThatRose = <T extends { readonly rose: boolean }>(figures: readonly T[]): T | undefined =>
  figures.filter(({ rose }) => rose).at(-1);

/** Of equal ones the earlier. */
export const highest = <T extends { readonly value: number }>(figures: readonly T[]): T =>
  figures.reduce((best, one) => (one.value > best.value ? one : best));

/**
 * How many in a row have not risen. Other settings are given their time: it is counted anew where the revision is another, as
 * after `retryPhase`, `extend` and going back.
 */
export function evaluationsWithout(figures: readonly Pick<WatchedFigure, 'revision' | 'rose'>[]): number {
  let count = 0;
  for (const { rose, revision } of [...figures].reverse()) {
    if (rose || revision !== figures.at(-1)!.revision) break;
    count++;
  }
  return count;
}
