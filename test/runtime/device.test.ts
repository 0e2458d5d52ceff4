import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deviceProblem, ownDevice } from '../../src/runtime/device.ts';
import { createTrainerProcess } from '../../src/trainer/process.ts';

describe('a trainer', () => {
  it('begins on a GPU, on the CPU of a machine without one, and on any CPU when asked to', () => {
    for (const wish of [undefined, 'gpu', 'cpu']) expect(deviceProblem('gpu', wish, true)).toBeNull();
    expect(deviceProblem('cpu', undefined, false)).toBeNull();
    expect(deviceProblem('cpu', 'cpu', true)).toBeNull();
  });

  it('does not fall back to the CPU of a machine with a GPU unasked', () => {
    expect(deviceProblem('cpu', undefined, true)).toMatch(
      /^this machine has an NVIDIA GPU, but TensorFlow does not see it; .*doctor, or set SIGLIP2_DEVICE=cpu/,
    );
    expect(deviceProblem('cpu', 'gpu', false)).toMatch(/^SIGLIP2_DEVICE=gpu, but TensorFlow sees no GPU/);
  });

  it('that is to have a GPU and sees none says so to its worker, and one that sees none is on the CPU', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'device-'));
    const start = (name: string, env: object) =>
      createTrainerProcess({
        lockFile: join(folder, `${name}.lock`),
        log: { info() {}, warn() {} },
        env: { ...process.env, CUDA_VISIBLE_DEVICES: '-1', ...env },
      });
    const [asked, free] = [start('asked', { SIGLIP2_DEVICE: 'gpu' }), start('free', { SIGLIP2_DEVICE: 'cpu' })];
    try {
      await expect(asked.device()).rejects.toMatchObject({
        code: 'DeviceMissing',
        message: expect.stringContaining('SIGLIP2_DEVICE=gpu, but TensorFlow sees no GPU'),
      });
      expect(await free.device()).toBe('cpu');
    } finally {
      await asked.close();
      await free.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('asked for the CPU has its GPUs hidden before TensorFlow loads, and its memory grows as it needs it', () => {
    const module = new URL('../../src/runtime/tensorflow.ts', import.meta.url).href;
    const code = `await import(${JSON.stringify(module)}); const { CUDA_VISIBLE_DEVICES: seen, TF_FORCE_GPU_ALLOW_GROWTH: growth } = process.env; console.log(JSON.stringify({ seen, growth }));`;
    const environmentOf = (env: object) => {
      const own = { ...process.env, CUDA_VISIBLE_DEVICES: '1', ...env };
      const args = ['--import', 'tsx', '--input-type=module', '-e', code];
      return JSON.parse(spawnSync(process.execPath, args, { env: own, encoding: 'utf8' }).stdout);
    };
    expect(environmentOf({ SIGLIP2_DEVICE: 'cpu' })).toEqual({ seen: '-1', growth: 'true' });
    expect(environmentOf({ SIGLIP2_DEVICE: '' })).toEqual({ seen: '1', growth: 'true' });
  });
});

describe('a worker', () => {
  it('has one device: on a GPU the first that it may use, and its lock is called after that', () => {
    expect(ownDevice('cpu', { CUDA_VISIBLE_DEVICES: '3' })).toEqual({ name: 'device', env: {} });
    expect(ownDevice('cuda', {})).toEqual({ name: 'gpu-0', env: { CUDA_VISIBLE_DEVICES: '0' } });
    expect(ownDevice('cuda', { CUDA_VISIBLE_DEVICES: '2,3' })).toEqual({
      name: 'gpu-2',
      env: { CUDA_VISIBLE_DEVICES: '2' },
    });
    // Whoever hides all of them is refused later, and not given one.
    expect(ownDevice('cuda', { CUDA_VISIBLE_DEVICES: '' }).env).toEqual({ CUDA_VISIBLE_DEVICES: '' });
    const { name, env } = ownDevice('cuda', { CUDA_VISIBLE_DEVICES: 'GPU-1a/../2b' });
    expect([name, env.CUDA_VISIBLE_DEVICES]).toEqual(['gpu-GPU-1a----2b', 'GPU-1a/../2b']);
  });
});
