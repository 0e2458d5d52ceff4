import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openProducer } from '../../src/runtime/producer.ts';
import type { CountingSettings } from './counting-thread.ts';

const module = new URL('./counting-thread.ts', import.meta.url).href;

function open(bytes: readonly number[], prefetch: number, prefetchBytes?: number, keep = false) {
  const made = new Int32Array(new SharedArrayBuffer(8));
  const settings = { bytes, made: made.buffer as SharedArrayBuffer };
  const limits = { prefetch, ...(prefetchBytes !== undefined && { prefetchBytes }) };
  const producer = openProducer<CountingSettings, Uint8Array>({ module, settings, keep, ...limits });
  /** Items that were made, once no more are. */
  const settled = async () => {
    let seen = -1;
    await expect
      .poll(
        async () => {
          const before = seen;
          seen = Atomics.load(made, 0);
          await delay(30);
          return seen > 0 && seen === before;
        },
        { timeout: 20_000 },
      )
      .toBe(true);
    return seen;
  };
  return { producer, settled, thread: () => Atomics.load(made, 1) };
}

describe('items that are made ahead', () => {
  it('are no more than so many, and no more than so many bytes', async () => {
    const many = Array(20).fill(1000);
    for (const [prefetch, bytes, ahead] of [
      [3, undefined, 3],
      [10, 4500, 4],
      [2, 4500, 2],
    ] as const) {
      const { producer, settled } = open(many, prefetch, bytes);
      expect(await settled()).toBe(ahead);
      expect(producer.ready).toBe(true);
      for (let i = 0; i < 2; i++) expect(await producer.next()).toHaveLength(1000);
      expect(await settled()).toBe(ahead + 2);
      await producer.close();
    }
  });

  it('are one where one has more bytes than are allowed', async () => {
    const { producer, settled } = open([9000, 9000, 9000], 5, 4500);
    expect(await settled()).toBe(1);
    for (let i = 0; i < 3; i++) expect(await producer.next()).toHaveLength(9000);
    await producer.close();
  });
});

describe('a thread that is kept', () => {
  const kept = (bytes: readonly number[]) => open(bytes, 2, undefined, true);

  it('makes the items of the next producer from the first on, and nothing is left of those before', async () => {
    const first = kept([1, 2, 3, 4, 5]);
    expect(await first.producer.next()).toHaveLength(1);
    await first.settled();
    await first.producer.close();
    await expect(first.producer.next()).rejects.toThrow('the data loader is closed');
    const second = kept([10, 20, 30]);
    for (const length of [10, 20, 30]) expect(await second.producer.next()).toHaveLength(length);
    expect(second.thread()).toBe(first.thread());
    // It is at its end.
    await second.producer.close();
    // Two at once are two threads.
    const [third, fourth] = [kept([7]), kept([8])];
    expect([await third.producer.next(), await fourth.producer.next()].map(({ length }) => length)).toEqual([7, 8]);
    expect(third.thread()).toBe(first.thread());
    expect(fourth.thread()).not.toBe(first.thread());
    await Promise.all([third.producer.close(), fourth.producer.close()]);
  });

  it('is not kept when it failed, or is still at an item after a second', async () => {
    const failing = kept([1, -1]);
    expect(await failing.producer.next()).toHaveLength(1);
    await expect(failing.producer.next()).rejects.toThrow('no such item');
    await failing.producer.close();
    const hanging = kept([Number.POSITIVE_INFINITY]);
    await hanging.settled();
    expect(hanging.thread()).not.toBe(failing.thread());
    const waited = expect(hanging.producer.next()).rejects.toThrow('the data loader is closed');
    await Promise.all([hanging.producer.close(), hanging.producer.close(), waited]);
    const next = kept([3]);
    expect(await next.producer.next()).toHaveLength(3);
    expect(next.thread()).not.toBe(hanging.thread());
    await next.producer.close();
  });
});
