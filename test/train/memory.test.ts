import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { cpuFacts } from '../../src/runtime/cpu.ts';
import { trainerVariables } from '../../src/trainer/environment.ts';
import { memoryOf } from '../bench/memory.ts';

/** Bytes that the steps of a process of its own need beyond what it held before them. */
function rise(options: { accumulate?: number; remat?: 'none' | 'blocks'; steps?: number }): number {
  const job = JSON.stringify({ accumulate: 1, remat: 'none', steps: 2, ...options });
  const child = new URL('memory-child.ts', import.meta.url).pathname;
  const out = execFileSync(process.execPath, ['--import', 'tsx', child, job], {
    encoding: 'utf8',
    env: trainerVariables(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { before, peak } = JSON.parse(out) as { before: number; peak: number };
  return peak - before;
}

// Linux alone tells a process its peak.
describe.skipIf(memoryOf('VmHWM') === null)('the memory of a step', () => {
  it('falls to a half or so with activations computed again, and below 0.4 in four micro-batches', () => {
    const plain = rise({});
    expect(plain).toBeGreaterThan(300e6);
    // Where matmuls are slow one of two threads computes the next block again while the gradients of the weights of the last
    // wait for the other, and hold what they need: 0.43 to 0.63 on a CPU with AVX2 alone.
    const isFast = /^(avx512|amx)/.test(cpuFacts().kind);
    expect(rise({ remat: 'blocks' }) / plain).toBeLessThan(isFast ? 0.5 : 0.7);
    expect(rise({ accumulate: 4 }) / plain).toBeLessThan(0.4);
  }, 120_000);
});
