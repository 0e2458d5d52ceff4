import { randomStream } from '../runtime/random.ts';

/** Two words that choose one of many streams of uniform numbers, each asked for by place. */
export interface RoundingKeys {
  readonly a: number;
  readonly b: number;
}

/** Who rounds: the replica of a slot, or the merger, of which a round has one. */
export type Rounder = number | 'merged';

/** The stream for a parameter in a round: a pure function of the seed of the run and of these. */
export function roundingKeys(seed: number, round: number, rounder: Rounder, parameter: string): RoundingKeys {
  const [who, ...slot] = rounder === 'merged' ? ['merged'] : ['replica', rounder];
  const stream = randomStream(seed, `${who} ${parameter}`, round, ...(slot as number[]));
  return { a: (stream.next() * 2 ** 32) | 0, b: (stream.next() * 2 ** 32) | 0 };
}

/**
 * Uniform in [0, 1) for the number at `place` (below 2^32) of its parameter: 32 bits of two rounds of a finaliser. It is a
 * function of the place, so that what is written does not depend on the pieces it is written in. The second key comes
 * between them, since with one alone two streams would be one stream at other places.
 */
export function uniformAt(place: number, a: number, b: number): number {
  let h = (place + a) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  h = (h ^ (h >>> 16) ^ b) | 0;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return ((h ^ (h >>> 16)) >>> 0) * 2 ** -32;
}
