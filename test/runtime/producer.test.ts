import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openProducer } from '../../src/runtime/producer.ts';
import type { CountingSettings } from './counting-thread.ts';

const module = new URL('./counting-thread.ts', import.meta.url).href;

function open(bytes: readonly number[], prefetch: number, prefetchBytes?: number) {
  const made = new Int32Array(new SharedArrayBuffer(4));
  const settings = { bytes, made: made.buffer as SharedArrayBuffer };
  const limits = { prefetch, ...(prefetchBytes !== undefined && { prefetchBytes }) };
  const producer = openProducer<CountingSettings, Uint8Array>({ module, settings, ...limits });
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
  return { producer, settled };
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
