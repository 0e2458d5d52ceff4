import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { readInOrder } from '../../src/train/pieces.ts';
import { memoryOf } from '../bench/memory.ts';

const MiB = 2 ** 20;

describe('the pieces of a state that is written', () => {
  it('are read once each, in groups of 64 MiB or of the largest piece', () => {
    const calls: (readonly string[])[] = [];
    const read = (names: readonly string[]) => {
      calls.push(names);
      return Object.fromEntries(names.map((name) => [name, Float32Array.of(Number(name))]));
    };
    const inTurn = (sizes: readonly number[]) => {
      calls.length = 0;
      const ordered = sizes.map((size, i) => [String(i), size * MiB] as const);
      const piece = readInOrder(ordered, read);
      expect(ordered.map(([name]) => piece(name)[0])).toEqual(sizes.map((_, i) => i));
      return calls.map((names) => names.join());
    };
    expect(inTurn([30, 30, 30, 60, 4, 1])).toEqual(['0,1', '2', '3,4', '5']);
    expect(inTurn([30, 100, 60, 40, 1])).toEqual(['0', '1', '2,3', '4']);
  });

  // Linux alone tells a process its peak.
  it.skipIf(memoryOf('VmHWM') === null)(
    'take no more memory than the largest of them, a third of the whole, beside the state itself',
    () => {
      const child = new URL('snapshot-child.ts', import.meta.url).pathname;
      const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
      const out = execFileSync(process.execPath, ['--import', 'tsx', child], { encoding: 'utf8', stdio });
      const { before, peak, bytes, written, whole } = JSON.parse(out);
      const largest = 4 * 256_000 * 60;
      expect(bytes).toBeGreaterThan(3 * largest);
      // What else moves: buffers of files, and the first call of its kind that TensorFlow plans.
      expect(peak - before).toBeLessThan(1.25 * largest);
      // And it is the state: the same as that which was copied out whole.
      expect(written).toBe(whole);
    },
    60_000,
  );
});
