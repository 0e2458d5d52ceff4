import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { cpuFacts } from '../../src/runtime/cpu.ts';
import { memoryOf } from '../bench/memory.ts';

/** A selection in a process of its own. */
function select(job: { candidates: number; width: number; tile: number }, env: NodeJS.ProcessEnv = {}) {
  const child = new URL('selection-child.ts', import.meta.url).pathname;
  const out = execFileSync(process.execPath, ['--import', 'tsx', child, JSON.stringify(job)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, ...env },
  });
  return JSON.parse(out) as { sha256: string; beyond: number | null };
}

describe('a selection in a process of its own', () => {
  it('has the same bytes in each process of so many threads, and with AVX512 with any number of them', () => {
    const job = { candidates: 4096, width: 96, tile: 512 };
    const { sha256 } = select(job);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(select(job).sha256).toBe(sha256);
    expect(select(job, { TF_NUM_INTEROP_THREADS: '1' }).sha256).toBe(sha256);
    // Kernels for AVX2 split some sums among threads, which is why a phase fixes their number.
    const alone = { TF_NUM_INTRAOP_THREADS: '1', TF_NUM_INTEROP_THREADS: '1' };
    const one = select(job, alone).sha256;
    expect(select(job, alone).sha256).toBe(one);
    if (/avx512|amx/.test(cpuFacts().kind)) expect(one).toBe(sha256);
    // It would notice another order of arithmetic.
    expect(select({ ...job, candidates: 4080 }).sha256).not.toBe(sha256);
  }, 240_000);

  // Linux alone tells a process its peak.
  it.skipIf(memoryOf('VmHWM') === null)(
    'holds the tiles of a chunk and never B x B: twice the candidates take the memory of their own rows alone',
    () => {
      const [small, large] = [8192, 16_384].map((candidates) => select({ candidates, width: 64, tile: 512 }).beyond!);
      // B x B float32 would be 1 GB, a chunk against all candidates 34 MB, four times over.
      expect(small).toBeLessThan(200e6);
      expect(large! - small!).toBeLessThan(40e6);
    },
    240_000,
  );
});
