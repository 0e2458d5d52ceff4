import { randomStream } from '../../runtime/random.ts';

/** Which examples of a data set are looked at: pure, and of any of them alone, however many there are. */
export interface Sample {
  /** Examples of the set. */
  readonly of: number;
  /** Those that are looked at. */
  readonly examples: number;
  readonly seed: number;
}

/**
 * Number in the set of the i-th example that is looked at: drawn evenly from the i-th of `examples` ranges that share the
 * set. They ascend, no two are the same, and a set that is sorted by class is represented evenly.
 */
export function sampled({ of, examples, seed }: Sample, i: number): number {
  const first = Math.floor((i * of) / examples);
  const next = Math.floor(((i + 1) * of) / examples);
  return next - first === 1 ? first : first + randomStream(seed, 'evaluate/sample', i).below(next - first);
}

/** As fingerprints say it. */
export const sampleText = ({ of, examples, seed }: Sample): string =>
  examples === of ? `all ${of}` : `${examples} of ${of}, one of each part, seed ${seed}`;
