import type { RandomStream } from '../runtime/random.ts';

/**
 * Draws `count` of the `open` candidates without replacement, each time by the softmax of `logits` over what is left:
 * the largest of logits plus Gumbel noise (arXiv 1903.06059). Logits are sums of thousands of losses, so they are
 * held in double precision, where no maximum has to be taken off. The stream gives every candidate its noise, drawn
 * before or not, so that what one gets does not depend on the others. Both results are in ascending order.
 */
export function drawWithoutReplacement(
  logits: Float64Array,
  open: Int32Array,
  count: number,
  stream: RandomStream,
): { drawn: Int32Array; rest: Int32Array } {
  const noise = Float64Array.from(logits, () => gumbel(stream));
  const key = (candidate: number) => logits[candidate]! + noise[candidate]!;
  const order = Int32Array.from(open).sort((a, b) => key(b) - key(a) || a - b);
  return { drawn: order.slice(0, count).sort(), rest: order.slice(count).sort() };
}

/** A standard Gumbel variable. Half a step keeps the uniform one of 32 bits away from 0. */
const gumbel = (stream: RandomStream) => -Math.log(-Math.log(stream.next() + 2 ** -33));

/** How many are drawn at each of `chunks` draws: equally many, the first ones take one more until `picks` come out. */
export function chunkSizes(picks: number, chunks: number): number[] {
  return Array.from({ length: chunks }, (_, i) => Math.floor(picks / chunks) + (i < picks % chunks ? 1 : 0));
}
