import { expect, test } from 'vitest';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';

const mebibyte = 2 ** 20;

/** Bytes of array buffers that are held while, and after, `bytes` of them were in use. */
function use(bytes: number): number {
  const array = new Uint8Array(bytes).fill(1);
  return process.memoryUsage().arrayBuffers + array[0]! - 1;
}

test('arrays that nothing holds are freed at once, and those that are held stay', () => {
  const kept = new Uint8Array(32 * mebibyte).fill(7);
  collectGarbage();
  const before = process.memoryUsage().arrayBuffers;
  // What others held of this process may go meanwhile.
  expect(use(256 * mebibyte) - before).toBeGreaterThan(250 * mebibyte);
  collectGarbage();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(mebibyte);
  expect(kept.at(-1)).toBe(7);
});
