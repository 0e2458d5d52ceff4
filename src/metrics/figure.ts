import { RunnerError } from '../runtime/errors.ts';

/** One figure. Shares are fractions of one, not percent. */
export interface Figure {
  readonly name: string;
  /** Null where nothing was there to count: no figure is made up, and JSON has no NaN. */
  readonly value: number | null;
  /** How many things it is a figure of: examples, pixels, classes. */
  readonly of: number;
}

/**
 * The contract of what can be told from sums over examples: answers are tallied one by one and forgotten, sums of parts add
 * up to those of the whole, and drawing examples again (bootstrap.ts) is adding their sums again.
 */
export interface Metric<Answer> {
  /** How many sums it keeps. */
  readonly width: number;
  /** Adds what one answer says. Errors: DataContract, where it can't be counted, and then no sum has changed. */
  tally(answer: Answer, sums: Float64Array): void;
  figures(sums: ArrayLike<number>): Figure[];
}

/** The figures of all answers, of which no more than one is held. */
export function figuresOf<Answer>(metric: Metric<Answer>, answers: Iterable<Answer>): Figure[] {
  const sums = new Float64Array(metric.width);
  for (const answer of answers) metric.tally(answer, sums);
  return metric.figures(sums);
}

/** A share or a mean; null of nothing. */
export const ratio = (sum: number, of: number): number | null => (of > 0 ? sum / of : null);

/** The mean of the values that are there, and how many are. */
export function meanOf(values: Iterable<number | null>): { readonly value: number | null; readonly of: number } {
  let [sum, of] = [0, 0];
  for (const value of values)
    if (value !== null) {
      sum += value;
      of++;
    }
  return { value: ratio(sum, of), of };
}

/** Two lists that must go together. */
export function sameLength(name: string, what: string, got: number, expected: number): void {
  if (got !== expected) refuse(name, `${what} has ${got} values, and ${expected} are needed`);
}

/** A model that answers NaN is broken; left out, such answers would make its figures better. */
export function finite(name: string, what: string, values: ArrayLike<number>): void {
  let broken = 0;
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) broken++;
  if (broken > 0) refuse(name, `${what}: ${broken} of ${values.length} values are not finite`);
}

export function refuse(name: string, reason: string): never {
  throw new RunnerError('DataContract', `${JSON.stringify(name.slice(0, 200))} can't be counted: ${reason}`);
}
