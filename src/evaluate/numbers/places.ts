import { dot, type Matrix, rowCount } from './matrix.ts';
import type { Nearest } from './nearest.ts';
import type { Pause } from './pause.ts';

/** Candidates that are kept of a query beyond those that decide, so that what the device rounds away rarely matters. */
const spare = 6;
const mostRight = 48;

export interface PlacesOptions {
  readonly nearest: Nearest;
  readonly error: number;
  readonly most: number;
  readonly ties?: 'against the model' | 'by number';
}

/** How many candidates of a query the device must find, to tell whether a right one is among the first `most`. */
export const neededOf = (most: number, rightOfOne: number): number => most + Math.min(mostRight, rightOfOne) + spare;

/**
 * The place of the best right candidate of each query: 0 is first, `most` stands for that and all behind it, -1 for a query
 * without a right one. A candidate that is not right comes before the best right one when its product is as large or
 * larger: ties count against the model, so one that has collapsed to a point finds nothing. `by number`: of equal ones the
 * earlier is first, and such a model finds what chance does. What the device found is only where is looked: products are taken
 * again in double precision, so that places are the same on every machine.
 *
 * @param rightOf rising numbers of the right candidates of a query
 * @param error of a product of `nearest`, at most
 */
export async function placesOfRight(
  queries: Matrix,
  candidates: Matrix,
  rightOf: (query: number) => ArrayLike<number>,
  { nearest, error, most, ties = 'against the model' }: PlacesOptions,
  pause: Pause,
): Promise<Int32Array> {
  const places = new Int32Array(rowCount(queries));
  for (let i = 0; i < places.length; i++) {
    const right = rightOf(i);
    if (right.length === 0) {
      places[i] = -1;
      continue;
    }
    let [best, bestAt] = [Number.NEGATIVE_INFINITY, -1];
    for (let r = 0; r < right.length; r++) {
      const product = dot(queries, i, candidates, right[r]!);
      if (product > best) [best, bestAt] = [product, right[r]!];
    }
    const isRight = right.length > 8 ? new Set(Array.from(right)) : null;
    const comesBefore = (place: number) => {
      if (isRight?.has(place) ?? includes(right, place)) return false;
      const product = dot(queries, i, candidates, place);
      return product > best || (product === best && (ties === 'against the model' || place < bestAt));
    };
    places[i] = placeIn(i, best, comesBefore) ?? (await scan(comesBefore));
    if (i % 4096 === 4095) await pause();
  }
  return places;

  /** By the list of the device; null where what it left out might matter. */
  function placeIn(query: number, best: number, comesBefore: (place: number) => boolean): number | null {
    const { k, scores, places: found } = nearest;
    let before = 0;
    for (let at = query * k; at < (query + 1) * k; at++) {
      const place = found[at]!;
      // Those behind have no larger products.
      if (place < 0 || scores[at]! < best - error) return before;
      if (comesBefore(place) && ++before === most) return most;
    }
    return k === rowCount(candidates) ? before : null;
  }

  /** By all candidates, until the place is known. */
  async function scan(comesBefore: (place: number) => boolean): Promise<number> {
    const all = rowCount(candidates);
    let before = 0;
    for (let j = 0; j < all && before < most; j++) {
      if (comesBefore(j)) before++;
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
