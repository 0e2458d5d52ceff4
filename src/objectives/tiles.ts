import type { Tensor } from '@tensorflow/tfjs';

/** Where tiles of so many rows begin, and how many each has: the last has what is left. */
export const tilesOf = (all: number, side: number): [first: number, count: number][] =>
  Array.from({ length: Math.ceil(all / side) }, (_, i) => [i * side, Math.min(side, all - i * side)]);

/** Rows of a matrix. */
export const rowsAt = (all: Tensor, first: number, count: number): Tensor =>
  all.slice([first, 0], [count, all.shape[1]!]);
