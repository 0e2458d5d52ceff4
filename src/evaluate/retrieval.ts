import { type Embeddings, placesOfConcept } from './concept-places.ts';
import type { Evaluator, Metric } from './evaluator.ts';
import type { Pause } from './numbers/pause.ts';
import { shareAmong } from './numbers/places.ts';
import { withConcepts } from './zero-shot.ts';

const cuts = [1, 5, 10] as const;

/**
 * Retrieval in both directions: R@k is the share of queries with at least one right candidate among the k nearest
 * (big_vision `evaluators/proj/image_text/image_text_retrieval.py`). A text is right for every image of its concept.
 * Images without a text in this language are left out and counted, and so are texts without an image.
 */
export const retrieval: Evaluator = async function* ({ images, texts }, pause) {
  const named = withConcepts(images, new Set(texts.concepts));
  const shown = withConcepts(texts, new Set(images.concepts));
  yield { name: 'images', value: named.concepts.length };
  yield { name: 'texts', value: shown.concepts.length };
  yield { name: 'left_out', value: images.concepts.length - named.concepts.length };
  if (named.concepts.length === 0) return;
  yield* direction('image_to_text', named, shown, pause);
  yield* direction('text_to_image', shown, named, pause);
};

async function* direction(
  name: string,
  queries: Embeddings,
  candidates: Embeddings,
  pause: Pause,
): AsyncGenerator<Metric> {
  const places = await placesOfConcept(queries, candidates, Math.max(...cuts), pause);
  for (const k of cuts) yield { name: `${name}/r${k}`, value: shareAmong(places, k) };
  yield { name: `${name}/chance_r1`, value: chanceOfFirst(queries, candidates) };
}

/** R@1 of an order drawn by lot: the mean share of right candidates. */
function chanceOfFirst(queries: Embeddings, candidates: Embeddings): number {
  const right = new Map<number, number>();
  for (const concept of candidates.concepts) right.set(concept, (right.get(concept) ?? 0) + 1);
  let sum = 0;
  for (const concept of queries.concepts) sum += right.get(concept) ?? 0;
  return sum / (queries.concepts.length * candidates.concepts.length);
}
