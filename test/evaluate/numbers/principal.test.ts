import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { principalOf, projected } from '../../../src/evaluate/numbers/principal.ts';

const { rows, directions, places } = JSON.parse(
  readFileSync(new URL('../fixtures/principal.json', import.meta.url), 'utf8'),
) as { rows: number[][]; directions: number[][]; places: number[][] };
const matrix = { width: 12, rows: Float32Array.from(rows.flat()) };

it('has the directions and the places that the singular values of NumPy give', () => {
  const found = principalOf(matrix, 3);
  for (const [k, direction] of directions.entries())
    for (const [d, value] of direction.entries()) expect(found.directions[k]![d]).toBeCloseTo(value, 9);
  const own = projected(matrix, found);
  for (const [i, value] of places.flat().entries()) expect(own[i]).toBeCloseTo(value, 8);
});

it('of rows that are all the same no direction is more than another, and no place is lost', () => {
  const same = { width: 4, rows: new Float32Array(20).fill(3) };
  for (const value of projected(same, principalOf(same, 3))) expect(value).toBeCloseTo(0, 12);
});
