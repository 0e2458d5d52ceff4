import { expect, it } from 'vitest';
import { evaluationsWithout, figuresBefore, highest, lastThatRose } from '../../src/evaluate/early-stopping.ts';

const at = (revision: number, step: number, value = 0, rose = false) => ({ revision, step, value, rose });
const steps = (of: readonly { revision: number; step: number }[]) => of.map(({ revision, step }) => [revision, step]);

it('counts what was given up by a later revision no more, and what it began with still', () => {
  const known = [at(0, 200), at(0, 400), at(0, 600), at(1, 400), at(1, 600), at(2, 800)];
  expect(steps(figuresBefore(known, at(1, 800)))).toEqual([
    [0, 200],
    [1, 400],
    [1, 600],
  ]);
  expect(steps(figuresBefore(known, at(2, 1000)))).toEqual([
    [0, 200],
    [1, 400],
    [1, 600],
    [2, 800],
  ]);
  expect(steps(figuresBefore(known, at(0, 600)))).toEqual([
    [0, 200],
    [0, 400],
  ]);
  expect(figuresBefore(known, at(0, 200))).toEqual([]);
  // Whatever order they were written in.
  expect(steps(figuresBefore([...known].reverse(), at(1, 800)))).toEqual(steps(figuresBefore(known, at(1, 800))));
});

it('counts evaluations in a row without a rise, anew in another revision', () => {
  const first = [at(0, 1, 0.1, true), at(0, 2, 0.2, true), at(0, 3, 0.19), at(0, 4, 0.2)];
  expect(evaluationsWithout(first)).toBe(2);
  expect(lastThatRose(first)?.step).toBe(2);
  expect(highest(first).step).toBe(2);
  expect(evaluationsWithout([...first, at(1, 5, 0.1)])).toBe(1);
  expect(evaluationsWithout([...first, at(1, 5, 0.1), at(1, 6, 0.3, true)])).toBe(0);
  expect(evaluationsWithout([])).toBe(0);
});
