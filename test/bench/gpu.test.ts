import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { hasNvidiaDriver } from '../../src/runtime/device.ts';
import { writeSafetensors } from '../../src/safetensors/safetensors-write.ts';
import { parseArguments } from './arguments.ts';
import { benchGpu } from './gpu.ts';
import { gpuParts } from './gpu-parts.ts';
import type { MemoryAnswer } from './gpu-process.ts';
import { largestDifferences } from './largest-differences.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'siglip2-gpu-'));
});
afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

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
    vi.stubEnv('SIGLIP2_DEVICE', 'cpu');
    const json = join(folder, 'report.json');
    const only = 'gpu/memory/step/tiny/f32';
    const report = await benchGpu(parseArguments(['--gpu-dry', '--only', only, '--json', json]), new PassThrough());
    expect(JSON.parse(readFileSync(json, 'utf8'))).toEqual(JSON.parse(JSON.stringify(report)));
    expect(report).toMatchObject({ version: 1, dry: true, device: { device: 'cpu' } });
    expect(Object.keys(report.parts)).toEqual(['memory']);
    const { before, loaded, compiled, first, last, planned } = report.parts.memory!['step/tiny/f32'] as MemoryAnswer;
    expect([before, loaded, compiled, first, last, planned].every((bytes) => bytes! > 10e6)).toBe(true);
    // The library is a part of it, and the step of a tiny model is not much more.
    expect(loaded!).toBeGreaterThan(before!);
    expect(last! - loaded!).toBeLessThan(1e9);
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
