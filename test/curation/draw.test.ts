import { describe, expect, it } from 'vitest';
import { chunkSizes, drawWithoutReplacement } from '../../src/curation/draw.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { chiSquare, oneInAThousand, setProbability, subsets } from './chi-square.ts';

describe('drawing without replacement', () => {
  const logits = Float64Array.of(0, 1, -1, 0.5, 9, 2, -0.5);
  const open = Int32Array.of(0, 1, 2, 3, 5, 6);

  it('gives every pair as often as two draws by softmax would, and never what is not open', () => {
    const pairs = subsets([...open], 2);
    const seen = pairs.map(() => 0);
    for (let step = 0; step < 20_000; step++) {
      const { drawn } = drawWithoutReplacement(logits, open, 2, randomStream(5, 'draws', step));
      seen[pairs.findIndex((pair) => pair.join() === drawn.join())]!++;
    }
    const left = new Map([...open].map((candidate) => [candidate, logits[candidate]!]));
    const probabilities = pairs.map((pair) => setProbability(left, pair));
    expect(probabilities.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    expect(chiSquare(seen, probabilities)).toBeLessThan(oneInAThousand);
    // It would notice draws that are even.
    expect(chiSquare(seen, Array(15).fill(1 / 15))).toBeGreaterThan(1000);
  });

  it('splits what is open into two ascending lists', () => {
    const { drawn, rest } = drawWithoutReplacement(logits, open, 3, randomStream(5, 'split'));
    expect([...drawn]).toEqual([...drawn].sort((a, b) => a - b));
    expect([...rest]).toEqual([...rest].sort((a, b) => a - b));
    expect([...drawn, ...rest].sort()).toEqual([...open]);
    expect(drawn).toHaveLength(3);
  });

  it('keeps the chances of logits so large that float32 would lose the noise', () => {
    const large = Float64Array.from({ length: 64 }, (_, i) => 1e8 + i * 1e-3);
    const firsts = new Set<number>();
    for (let step = 0; step < 400; step++) {
      const all = Int32Array.from(large.keys());
      firsts.add(drawWithoutReplacement(large, all, 1, randomStream(6, 'large', step)).drawn[0]!);
    }
    // Almost even chances: in float32 the logits would be equal within steps of 8.
    expect(firsts.size).toBeGreaterThan(55);
  });

  it('gives a candidate the same noise whoever else is open', () => {
    const even = new Float64Array(7);
    for (let step = 0; step < 50; step++) {
      const firstOf = (among: Int32Array) =>
        drawWithoutReplacement(even, among, 1, randomStream(7, 'noise', step)).drawn[0]!;
      const first = firstOf(Int32Array.of(0, 1, 2, 3, 4, 5, 6));
      expect(firstOf(Int32Array.of(0, 1, 2, 3, 4, 5, 6).filter((k) => k === first || k % 2 === 0))).toBe(first);
    }
  });
});

describe('chunks', () => {
  it('are equally large, the first ones by one larger until the sum is right', () => {
    expect(chunkSizes(32, 16)).toEqual(Array(16).fill(2));
    expect(chunkSizes(11, 4)).toEqual([3, 3, 3, 2]);
    expect(chunkSizes(5, 5)).toEqual([1, 1, 1, 1, 1]);
  });
});
