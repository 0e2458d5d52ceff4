import { execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import sharp from 'sharp';
import { expect, it } from 'vitest';
import { CorruptExample } from '../../../src/data/example/corrupt-example.ts';
import { decodeInTurn, freeTurn, takeTurnsBy } from '../../../src/data/example/decode-in-turn.ts';
import { memoryOf } from '../../bench/memory.ts';

const child = new URL('decode-child.ts', import.meta.url).pathname;
const decode = (how: string) =>
  JSON.parse(execFileSync(process.execPath, ['--import', 'tsx', child, how], { encoding: 'utf8' })) as {
    beyond: number;
    widths: number[];
  };

// Linux alone tells a process its peak.
it.skipIf(memoryOf('VmHWM') === null)(
  'very large pictures that are asked for at once take the memory of one after another',
  () => {
    const inTurn = decode('in turn');
    expect(inTurn.widths).toEqual([5000, 5000, 5000, 5000, 5000, 5000]);
    // 75 MB as pixels, and what a progressive JPEG is read through.
    expect(inTurn.beyond).toBeLessThan(350e6);
    expect(decode('at once').beyond).toBeGreaterThan(1.5 * inTurn.beyond);
  },
  60_000,
);

it('what is no picture is told by the decoder, as without turns', async () => {
  await expect(decodeInTurn(Buffer.from('no picture'))).rejects.toThrow(CorruptExample);
});

it('a thread that ends while it has its turn gives it back, and none that has it not', async () => {
  const turns = new SharedArrayBuffer(4);
  takeTurnsBy(turns);
  // Thread 7 is at work.
  new Int32Array(turns)[0] = 8;
  const large = await sharp({ create: { width: 4400, height: 4000, channels: 3, background: '#123' } })
    .png()
    .toBuffer();
  let isDone = false;
  const decoded = decodeInTurn(large).then(({ width }) => {
    isDone = true;
    return width;
  });
  freeTurn(turns, 6);
  await delay(100);
  expect(isDone).toBe(false);
  freeTurn(turns, 7);
  expect(await decoded).toBe(4400);
  expect(new Int32Array(turns)[0]).toBe(0);
});
