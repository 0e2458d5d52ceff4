import { describe, expect, it } from 'vitest';
import { lengthsByPace, mostTimesAsFast, type SlotPace } from '../../src/recipe/lane-lengths.ts';
import { lanesOf, placeOf } from '../../src/recipe/lanes.ts';
import { randomStream } from '../../src/runtime/random.ts';

const paced = (...paces: number[]): SlotPace[] => paces.map((pace, slot) => ({ slot, pace }));
const sum = (numbers: readonly number[]) => numbers.reduce((total, one) => total + one, 0);

describe('the lanes of a round that is dealt by pace', () => {
  it('are as long as their slots are fast, to the step', () => {
    expect(lengthsByPace(21, 3, paced(10, 20, 40))).toEqual([3, 6, 12]);
    expect(lengthsByPace(2000, 4, paced(390, 390, 195, 780))).toEqual([445, 444, 222, 889]);
    // 20 / 7 is 2.857, 5.714 and 11.429: the largest remainders go up.
    expect(lengthsByPace(20, 3, paced(1, 2, 4))).toEqual([3, 6, 11]);
  });

  it('are alike without paces, and where all are as fast, to the step of lanes that nobody deals', () => {
    for (const slots of [1, 2, 3, 7, 64])
      for (const steps of [1, 2, 63, 64, 65, 100]) {
        const equal = lanesOf({ from: 0, to: steps, slots }).map((lane) => lane.steps);
        expect(lengthsByPace(steps, slots, [])).toEqual(equal);
        expect(lengthsByPace(steps, slots, paced(...new Array<number>(slots).fill(371.3)))).toEqual(equal);
      }
  });

  it('of a slot whose pace is not known is the mean of the others, as of one whose pace is none', () => {
    expect(
      lengthsByPace(90, 3, [
        { slot: 0, pace: 10 },
        { slot: 2, pace: 20 },
      ]),
    ).toEqual([20, 30, 40]);
    for (const pace of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(lengthsByPace(90, 3, paced(10, pace, 20))).toEqual([20, 30, 40]);
    // Of a round with more slots those beyond count for nothing.
    expect(lengthsByPace(30, 2, paced(10, 20, 4000))).toEqual([10, 20]);
  });

  it('differ by so many times at most, however wrong a figure is, and the others keep their parts', () => {
    expect(lengthsByPace(900, 2, paced(1, 1e12))).toEqual([100, 800]);
    expect(lengthsByPace(900, 2, paced(1e12, 1e-12))).toEqual([800, 100]);
    const [one, two, wild] = lengthsByPace(4000, 3, paced(10, 10, 1e300));
    expect(one! - two!).toBeLessThanOrEqual(1);
    expect(wild! / one!).toBeLessThan(3);
  });

  it('make up the round, have a step each, and depend on nothing but slots and their paces', () => {
    const random = randomStream(7, 'lane-lengths');
    for (let i = 0; i < 2000; i++) {
      const slots = 1 + random.below(40);
      const steps = 1 + random.below(i % 2 === 0 ? 60 : 5000);
      const paces = Array.from({ length: slots }, (_, slot) => ({ slot, pace: Math.exp(40 * random.next() - 20) }));
      const known = paces.filter(() => random.below(5) > 0);
      const lengths = lengthsByPace(steps, slots, known);
      expect(sum(lengths)).toBe(steps);
      expect(lengths).toHaveLength(Math.min(steps, slots));
      const [least, most] = [Math.min(...lengths), Math.max(...lengths)];
      expect(least).toBeGreaterThanOrEqual(1);
      // Each may be rounded by a step, and the shortest has one that was less.
      expect(most - 1).toBeLessThanOrEqual(mostTimesAsFast * (least + 1));
      expect(lengthsByPace(steps, slots, [...known].reverse())).toEqual(lengths);
    }
  });

  it('cover the round one after another, and each goes through its rates from the beginning to the end', () => {
    const lanes = lanesOf({ from: 100, to: 121, slots: 3, lengths: [3, 6, 12] });
    expect(lanes.map(({ first, steps }) => [first, steps])).toEqual([
      [101, 3],
      [104, 6],
      [110, 12],
    ]);
    const places = lanes.map((lane) => Array.from({ length: lane.steps }, (_, i) => placeOf(lane, i)));
    expect(places).toEqual([
      [101, 108, 115],
      [101, 104, 108, 111, 115, 118],
      [101, 102, 104, 106, 108, 109, 111, 113, 115, 116, 118, 120],
    ]);
  });
});
