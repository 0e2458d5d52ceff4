import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hasNvidiaDriver } from '../../src/runtime/device.ts';
import { writeSafetensors } from '../../src/safetensors/safetensors-write.ts';
import { parseArguments } from './arguments.ts';
import { benchGpu, type GpuReport } from './gpu.ts';
import { gpuParts } from './gpu-parts.ts';
import type { MemoryAnswer } from './gpu-process.ts';
import { largestDifferences } from './largest-differences.ts';
import type { BenchRecord } from './record.ts';
import { recordOf } from './step-runs.ts';
import { row } from './table.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'siglip2-gpu-'));
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

interface StepsFound {
  readonly records: readonly BenchRecord[];
  readonly choices: Readonly<Record<string, unknown>>;
  readonly problems: Readonly<Record<string, string>>;
}

/** One part of the plan on the CPU, as `npm run bench -- --gpu-dry --only gpu/...` runs it: what the file then says. */
async function dryRun(only: string): Promise<GpuReport['parts']> {
  vi.stubEnv('SIGLIP2_DEVICE', 'cpu');
  const json = join(folder, 'report.json');
  const args = ['--gpu-dry', '--only', `gpu/${only}`, '--runs', '1', '--json', json];
  const report = await benchGpu(parseArguments(args), new PassThrough().resume());
  expect(JSON.parse(readFileSync(json, 'utf8'))).toEqual(JSON.parse(JSON.stringify(report)));
  expect(report).toMatchObject({ version: 1, dry: true, device: { device: 'cpu' } });
  const [part] = only.split('/');
  expect(Object.keys(report.parts)).toEqual([part]);
  expect(report.parts[part!]).not.toHaveProperty('error');
  return report.parts;
}

describe('what runs on a GPU', () => {
  it('is what has never run on one, that which decides about the rest first', () => {
    expect(Object.keys(gpuParts)).toEqual(['placement', 'memory', 'bytes', 'steps', 'large']);
  });

  it.skipIf(hasNvidiaDriver())('is refused in a sentence where there is none', async () => {
    await expect(benchGpu(parseArguments(['--gpu']), new PassThrough())).rejects.toThrow(
      'no GPU found: this machine has no NVIDIA driver; --gpu-dry runs the plan on the CPU',
    );
  });

  it('runs dry on the CPU, and writes what it found into one file', async () => {
    const { memory } = await dryRun('memory/step/tiny/f32');
    const { before, loaded, compiled, first, last, planned } = memory!['step/tiny/f32'] as MemoryAnswer;
    expect([before, loaded, compiled, first, last, planned].every((bytes) => bytes! > 10e6)).toBe(true);
    // The library is a part of it, and the step of a tiny model is not much more.
    expect(loaded!).toBeGreaterThan(before!);
    expect(last! - loaded!).toBeLessThan(1e9);
  });

  it('ends in the same bytes twice on a CPU, with a hash of each attempt', async () => {
    const { bytes } = await dryRun('bytes/step/tiny/f32');
    const { same, sha256, losses, differences } = bytes!['step/tiny/f32'] as Record<string, unknown>;
    expect({ same, losses, differences }).toEqual({ same: true, losses: 0, differences: [] });
    expect(sha256).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/), (sha256 as string[])[0]]);
  });

  it('times steps beside the peak of matmuls, and says which way of compiling it would choose', async () => {
    const { steps } = await dryRun('steps/step/tiny/f32');
    const { records, choices, problems } = steps as unknown as StepsFound;
    expect(records.map(({ name, variant }) => `${name}/${variant}`)).toEqual([
      'matmul/square/f32',
      'matmul/square/bf16',
      'step/tiny/f32',
    ]);
    expect(records.every(({ ms_median, runs }) => ms_median > 0 && runs > 0)).toBe(true);
    expect(choices['step/tiny/f32']).toEqual({ xla: 'off', ms: { off: records[2]!.ms_median, on: null } });
    expect(problems).toEqual({});
  });

  it.each(['contrast/32k/bf16', 'patch-head/b16/f32', 'selection/768/16k-of-32k'])(
    'runs what is large of few: %s',
    async (name) => {
      const { large } = await dryRun(`large/${name}`);
      const { records, problems } = large as unknown as StepsFound;
      expect(problems).toEqual({});
      expect(records.map(({ name, variant }) => `${name}/${variant}`)).toEqual([name]);
      expect(records[0]!.ms_median).toBeGreaterThan(0);
      expect(records[0]!.gflop).toBeGreaterThan(0);
    },
  );

  it('has steps of a peer on a card, which tell no memory of the host, in the table all the same', () => {
    const turn = { ms: [20], cpuMs: [30], losses: [1], peak: null, stepsPeak: null };
    const ready = { ready: true, losses: [1], warmUpMs: 1, base: 1e9, peak: 2e9, version: '2.15' } as const;
    const peak = { flops: { f32: 1e12, bf16: 2e12 }, tensorflow: '2.21.0' };
    const record = recordOf('step/tiny', 'peer-f32-merged', 'f32', [turn], { ready }, peak);
    expect(record).toMatchObject({ ms_median: 20, peak_bytes: null, steps_peak_bytes: null });
    expect(row(record)).toMatch(/^step\/tiny +peer-f32-merged +20\.0 +20\.0 +\d+ GFLOP\/s +\d+ %$/);
  });
});

describe('the differences of two attempts', () => {
  it('are counted tensor by tensor, the largest first, in units of the largest number', async () => {
    const write = async (name: string, a: number[], b: number[]) => {
      const path = join(folder, name);
      const tensor = (name: string, values: number[]) => {
        const data = new Uint8Array(Float32Array.from(values).buffer);
        return { name, dtype: 'F32' as const, shape: [values.length], data };
      };
      await writeSafetensors(path, [tensor('a', a), tensor('b', b)]);
      return path;
    };
    const first = await write('1', [1, 2, -4], [1, 1]);
    const second = await write('2', [1, 2, -3], [1, 1.5]);
    const third = await write('3', [1, 2.5, -4.5], [1, 1]);
    expect(await largestDifferences(first, [second, third])).toEqual([
      { tensor: 'b', numbers: 1, of: 2, largest: 0.5 },
      { tensor: 'a', numbers: 2, of: 3, largest: 0.25 },
    ]);
    expect(await largestDifferences(first, [first])).toEqual([]);
  });
});
