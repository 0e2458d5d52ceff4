import { nodeBackend } from '../runtime/tensorflow.ts';
import type { Matrix } from './numbers/matrix.ts';
import { nearestOf, productError } from './numbers/nearest.ts';
import type { Pause } from './numbers/pause.ts';
import { neededOf, placesOfRight } from './numbers/places.ts';

/** Rows of unit length in the shared space, and what each is about. */
export interface Embeddings extends Matrix {
  /** (n): rows of equal number show, or name, the same thing. */
  readonly concepts: Int32Array;
}

const none: readonly number[] = [];

/**
 * For each query the place (0 is first) of the best-placed candidate of its concept: `most` stands for that and all behind it, -1
 * for a query without one. Candidates are ordered by cosine; of equal ones the earlier is first, as `argmax` has it, so that a
 * model which has collapsed to one point scores chance.
 */
export async function placesOfConcept(
  queries: Embeddings,
  candidates: Embeddings,
  most: number,
  pause: Pause,
): Promise<Int32Array> {
  const byConcept = new Map<number, number[]>();
  for (const [j, concept] of candidates.concepts.entries()) {
    const own = byConcept.get(concept);
    if (own) own.push(j);
    else byConcept.set(concept, [j]);
  }
  const rightOf = (query: number) => byConcept.get(queries.concepts[query]!) ?? none;
  const mostRight = [...byConcept.values()].reduce((largest, { length }) => Math.max(largest, length), 0);
  const nearest = await nearestOf(queries, candidates, neededOf(most, mostRight), pause);
  const error = productError(queries.width, nodeBackend().isUsingGpuDevice ? 'gpu' : 'cpu');
  return placesOfRight(queries, candidates, rightOf, { nearest, error, most, ties: 'by number' }, pause);
}
