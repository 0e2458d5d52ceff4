import { expect, it } from 'vitest';
import { goodputOf } from './goodput.ts';
import { anyWanted, isWanted } from './names.ts';

it('counts steps of the commits after the first alone, over the time of all workers from the first commit to the last', () => {
  // Two workers for 40 s are 80 s; 20 steps of both and 20 of one, of a second each, are 60 of them.
  const commits = [
    { at: 100, steps: 999 },
    { at: 120, steps: 40 },
    { at: 140, steps: 20 },
  ];
  expect(goodputOf(commits, 2, 1)).toEqual({ share: 0.75, seconds: 40 });
});

it('comes to two thirds where each round waits for a lane that was lost half way', () => {
  const commits = Array.from({ length: 5 }, (_, i) => ({ at: 15 * i, steps: 80 }));
  expect(goodputOf(commits, 8, 1).share).toBeCloseTo(2 / 3, 12);
});

it('is measured where it is asked for alone, since it takes minutes', () => {
  expect(isWanted('', 'rounds/goodput', 'all')).toBe(false);
  expect(isWanted('', 'rounds/kill', '100-mbit-newcomer')).toBe(false);
  expect(isWanted('rounds/goodput/quorum', 'rounds/goodput', 'quorum-half')).toBe(true);
  expect(anyWanted('rounds/kill')).toBe(true);
});
