import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type PositionStretch, positionStretches, stretchPositions } from '../../src/model/stretch-positions.ts';

/** make_positions.py: the loop of Long-CLIP, and PyTorch's interpolation. */
const { length, width, table, cases } = JSON.parse(
  readFileSync(new URL('fixtures/positions.json', import.meta.url), 'utf8'),
) as {
  length: number;
  width: number;
  table: number[];
  cases: { how: PositionStretch; to: number; table: number[] }[];
};
const stored = Float32Array.from(table);

it.each(cases)('positions of $to tokens are those of Long-CLIP and PyTorch: $how', ({ how, to, table: theirs }) => {
  const found = stretchPositions(stored, length, to, how);
  expect(found).toHaveLength(theirs.length);
  for (const [i, value] of found.entries()) expect(Math.abs(value - theirs[i]!), `place ${i}`).toBeLessThan(1e-6);
});

it.each(positionStretches)('nothing is lost of as many positions, or of very few: %s', (how) => {
  expect(stretchPositions(stored, length, length, how)).toEqual(stored);
  const few = stored.slice(0, 4 * width);
  const longer = stretchPositions(few, 4, 9, how);
  expect(longer.slice(0, width)).toEqual(few.slice(0, width));
  if (how !== 'longClip') expect(longer.slice(-width)).toEqual(few.slice(-width));
  expect(longer.every(Number.isFinite)).toBe(true);
});
