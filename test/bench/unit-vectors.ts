import { randomStream } from '../../src/runtime/random.ts';

/** Rows of length one in random directions, (count, width). */
export function unitVectors(count: number, width: number, purpose: string): Float32Array {
  const random = randomStream(1, purpose);
  const rows = new Float32Array(count * width);
  for (let first = 0; first < rows.length; first += width) {
    let square = 0;
    for (let k = first; k < first + width; k++) {
      rows[k] = random.next() - 0.5;
      square += rows[k]! ** 2;
    }
    for (let k = first; k < first + width; k++) rows[k]! /= Math.sqrt(square);
  }
  return rows;
}
