import type { Pause } from '../ranks.ts';
import { dot, type Matrix, rowCount } from './matrix.ts';
import type { Nearest } from './nearest.ts';

/** Candidates that are kept of a query beyond those that decide, so that what the device rounds away rarely matters. */
const spare = 6;
const mostRight = 48;

/** How many candidates of a query the device must find, to tell whether a right one is among the first `most`. */
export const neededOf = (most: number, rightOfOne: number): number => most + Math.min(mostRight, rightOfOne) + spare;

/**
 * The place of the best right candidate of each query: 0 is first, `most` stands for that and all behind it, -1 for a query
 * without a right one. A candidate that is not right comes before the best right one when its product is as large or
 * larger: ties count against the model, so one that has collapsed to a point finds nothing. What the device found is only
 * where is looked: products are taken again in double precision, so that places are the same on every machine.
 *
 * @param rightOf numbers of the right candidates of a query
 * @param error of a product of `nearest`, at most
 */
export async function placesOfRight(
  queries: Matrix,
  candidates: Matrix,
  rightOf: (query: number) => ArrayLike<number>,
  { nearest, error, most }: { readonly nearest: Nearest; readonly error: number; readonly most: number },
  pause: Pause,
): Promise<Int32Array> {
  const places = new Int32Array(rowCount(queries));
  for (let i = 0; i < places.length; i++) {
    const right = rightOf(i);
    if (right.length === 0) {
      places[i] = -1;
      continue;
    }
    let best = Number.NEGATIVE_INFINITY;
    for (let r = 0; r < right.length; r++) best = Math.max(best, dot(queries, i, candidates, right[r]!));
    const isRight = right.length > 8 ? new Set(Array.from(right)) : null;
    const rights = (place: number) => isRight?.has(place) ?? includes(right, place);
    places[i] = placeIn(i, best, rights) ?? (await scan(i, best, rights));
    if (i % 4096 === 4095) await pause();
  }
  return places;

  /** By the list of the device; null where what it left out might matter. */
  function placeIn(query: number, best: number, isRight: (place: number) => boolean): number | null {
    const { k, scores, places: found } = nearest;
    let before = 0;
    for (let at = query * k; at < (query + 1) * k; at++) {
      const place = found[at]!;
      // Those behind have no larger products.
      if (place < 0 || scores[at]! < best - error) return before;
      if (isRight(place) || dot(queries, query, candidates, place) < best) continue;
      if (++before === most) return most;
    }
    return k === rowCount(candidates) ? before : null;
  }

  /** By all candidates, until the place is known. */
  async function scan(query: number, best: number, isRight: (place: number) => boolean): Promise<number> {
    const all = rowCount(candidates);
    let before = 0;
    for (let j = 0; j < all && before < most; j++) {
      if (dot(queries, query, candidates, j) >= best && !isRight(j)) before++;
      if (j % 8192 === 8191) await pause();
    }
    return before;
  }
}

function includes(right: ArrayLike<number>, place: number): boolean {
  for (let i = 0; i < right.length; i++) if (right[i] === place) return true;
  return false;
}

/** Share of queries whose right candidate is among the first k; those without one are left out. */
export function shareAmong(places: Int32Array, k: number): number {
  let [hits, all] = [0, 0];
  for (const place of places) {
    if (place < 0) continue;
    all++;
    if (place < k) hits++;
  }
  return all === 0 ? 0 : hits / all;
}

/** How many classes that are not right have as high a score as the best right one, or a higher. */
export function placeOf(
  scores: ArrayLike<number>,
  right: readonly number[],
  first = 0,
  classes = scores.length,
): number {
  let best = Number.NEGATIVE_INFINITY;
  for (const label of right) best = Math.max(best, scores[first + label]!);
  let before = 0;
  for (let c = 0; c < classes; c++) if (scores[first + c]! >= best && !right.includes(c)) before++;
  return before;
}
