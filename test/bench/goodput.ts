/** A round as its commit has it. */
export interface CommittedRound {
  /** Seconds, by any clock. */
  readonly at: number;
  /** Of all members together. */
  readonly steps: number;
}

/**
 * The share of the time of all workers, from the first commit to the last, that went into steps which a commit holds. Steps
 * of the first commit were made before.
 *
 * @param commits in the order of time, two or more
 */
export function goodputOf(
  commits: readonly CommittedRound[],
  workers: number,
  stepSeconds: number,
): { readonly share: number; readonly seconds: number } {
  const seconds = commits.at(-1)!.at - commits[0]!.at;
  const steps = commits.slice(1).reduce((sum, one) => sum + one.steps, 0);
  return { share: (steps * stepSeconds) / (workers * seconds), seconds };
}
