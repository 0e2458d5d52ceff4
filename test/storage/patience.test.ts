import { expect, it } from 'vitest';
import { sendingMs } from '../../src/storage/patience.ts';

it('a write may take as long as 4 KiB a second need, and the time of an answer', () => {
  expect(sendingMs(0)).toBe(15_000);
  expect(sendingMs(4096)).toBe(16_000);
  // A part of a checkpoint, which the server has to put down before it answers.
  expect(sendingMs(16 * 1024 * 1024)).toBe(120_000 + 4_096_000);
});
