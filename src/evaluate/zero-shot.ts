import { type Embeddings, placesOfConcept } from './concept-places.ts';
import type { Evaluator } from './evaluator.ts';
import { takeRows } from './numbers/matrix.ts';
import { shareAmong } from './numbers/places.ts';

/**
 * Zero-shot classification over all concepts that have a text: the class of an image is the one whose embedding is
 * nearest, the embedding of a class being the mean of its prompts' embeddings, normalised again (big_vision
 * `evaluators/proj/image_text/discriminative_classifier.py`). Images whose concept has no text in this language
 * are left out and counted.
 */
export const zeroShot: Evaluator = async function* ({ images, texts }, pause) {
  const classes = classEmbeddings(texts);
  const named = withConcepts(images, new Set(classes.concepts));
  const count = classes.concepts.length;
  const examples = named.concepts.length;
  yield { name: 'classes', value: count };
  yield { name: 'examples', value: examples };
  yield { name: 'left_out', value: images.concepts.length - examples };
  if (examples === 0) return;
  const places = await placesOfConcept(named, classes, 5, pause);
  const top1 = shareAmong(places, 1);
  yield { name: 'top1', value: top1 };
  yield { name: 'top5', value: shareAmong(places, 5) };
  yield { name: 'chance', value: 1 / count };
  yield { name: 'times_chance', value: top1 * count };
};

/** One row a concept, in order of first appearance: the mean of its rows, of unit length. (n, E) -> (classes, E) */
export function classEmbeddings({ width, rows, concepts }: Embeddings): Embeddings {
  const order = [...new Set(concepts)];
  const place = new Map(order.map((concept, i) => [concept, i]));
  const sums = new Float64Array(order.length * width);
  for (const [i, concept] of concepts.entries()) {
    const at = place.get(concept)! * width;
    for (let k = 0; k < width; k++) sums[at + k]! += rows[i * width + k]!;
  }
  for (let at = 0; at < sums.length; at += width) {
    const row = sums.subarray(at, at + width);
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    // Prompts that cancel out leave no direction: the zero row is at cosine 0 from everything.
    if (length > 0) for (let k = 0; k < width; k++) row[k]! /= length;
  }
  return { width, rows: Float32Array.from(sums), concepts: Int32Array.from(order) };
}

/** The rows whose concept is among these, in their order. */
export function withConcepts({ width, rows, concepts }: Embeddings, wanted: ReadonlySet<number>): Embeddings {
  const kept = [...concepts.keys()].filter((i) => wanted.has(concepts[i]!));
  return { ...takeRows({ width, rows }, kept), concepts: Int32Array.from(kept, (i) => concepts[i]!) };
}
