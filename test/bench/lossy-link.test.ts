import { describe, expect, it } from 'vitest';
import { randomStream } from '../../src/runtime/random.ts';
import { isLost, LinkQueue } from './lossy-link.ts';

const link = { bits: 12_000_000, latency: 50, loss: 0.01 };

describe('a link that is made', () => {
  it('lets packets go one after another at its rate, and half its latency later they are there, in their order', () => {
    const queue = new LinkQueue<number>();
    // 1,500 bytes are 12,000 bits: a millisecond each.
    for (let i = 0; i < 3; i++) queue.enter(i, 1500, 100, link);
    expect(queue.due(125.9)).toEqual([]);
    expect(queue.due(127)).toEqual([0, 1]);
    expect(queue.due(128)).toEqual([2]);
    // After a pause the next one leaves at once.
    queue.enter(3, 1500, 500, link);
    expect(queue.due(525.9)).toEqual([]);
    expect(queue.due(526)).toEqual([3]);
  });

  it('has room for a tenth of a second of traffic, and drops what comes on top', () => {
    const queue = new LinkQueue<number>();
    for (let i = 0; i < 200; i++) queue.enter(i, 1500, 0, link);
    expect(queue.due(1e9)).toEqual(Array.from({ length: 101 }, (_, i) => i));
  });

  it('loses one packet in a hundred', () => {
    const random = randomStream(3, 'loss');
    const lost = Array.from({ length: 100_000 }, () => isLost(link, random)).filter(Boolean).length;
    // Three standard deviations of a binomial.
    expect(Math.abs(lost - 1000)).toBeLessThan(95);
  });
});
