import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { memoryPlan } from '../../src/train/memory-plan.ts';
import { trainerVariables } from '../../src/trainer/environment.ts';
import { memoryOf } from '../bench/memory.ts';
import { planSettings } from '../bench/plan-shapes.ts';
import { stepSettings } from '../bench/shapes.ts';
import { long } from '../support/long.ts';
import { peakSettings } from './peak-shapes.ts';

const sum = (parts: object): number => Object.values(parts).reduce((a, b) => a + b, 0);
const data = { train: 'train', examples: 1e6, vocabulary: Array.from({ length: 500 }, (_, id) => id) };

describe('the memory of a phase', () => {
  it('is the sum of its parts at the worst of its moments', () => {
    const plan = memoryPlan(stepSettings('step/s16', 'f32'));
    const { device, host, snapshot, unreturned, atWork, gpuBytes, hostBytes, processBytes, peak } = plan;
    const state = device.parameters + device.optimiser;
    expect(device.optimiser).toBe(2 * device.parameters);
    expect(atWork).toBe(device.activations + device.contrast);
    // The token table, 32,000 rows of 384 numbers, is no more than a group of other pieces.
    expect(snapshot).toBe(64 * 2 ** 20);
    expect(peak).toBe('step');
    expect(processBytes).toBe(sum(host) + state + device.gradients + atWork + unreturned.step);
    expect(gpuBytes).toBe(state + device.gradients + atWork + 0.56e9);
    expect(hostBytes).toBe(sum(host) + snapshot);
  });

  it('has the loss of the whole batch beside activations, and with micro-batches in their place', () => {
    const { settings } = planSettings('4k-whole', data);
    const whole = memoryPlan(settings);
    // Cosines of 4,096 pairs in one chunk, four times, and ten arrays of 128 numbers a pair.
    expect(whole.device.contrast).toBe(4 * (4 * 4096 ** 2 + 10 * 128 * 4096));
    expect(whole.atWork).toBe(whole.device.activations + whole.device.contrast);
    const parts = memoryPlan({ ...settings, accumulate: 64 });
    expect(parts.device.activations).toBe(whole.device.activations / 64);
    expect(parts.atWork).toBe(parts.device.contrast);
    // At the paper's batch, of a tile 2,048 images with as many texts.
    const { settings: large } = planSettings('32k', data);
    expect(memoryPlan(large).device.contrast).toBe(4 * (4 * 2048 ** 2 + 10 * 128 * 32_768));
  });

  it('has a bank of texts, the cosines of images with it where they are more, and what images have for it', () => {
    const { settings } = planSettings('4k-whole', data);
    const of = (batch: number, bank?: object) => {
      const sigmoid = { weight: 1, ...(bank && { bank: { replicas: 4, rows: 1024 } }) };
      return memoryPlan({ ...settings, objectives: { sigmoid }, batches: { ...settings.batches, batch } }).device;
    };
    expect(of(256).bank).toBe(0);
    expect(of(256, {})).toMatchObject({
      ...of(256),
      bank: 4 * 4096 * 128,
      contrast: 4 * (4 * 256 * 4096 + 13 * 128 * 256),
    });
    // The cosines of the batch with itself are as many, and not there at once.
    expect(of(4096, {}).contrast - of(4096).contrast).toBe(4 * 3 * 128 * 4096);
  });

  it('names a teacher, the selection, and a thread where choices overlap steps', () => {
    const { settings } = planSettings('acid', data);
    const apart = { ...settings, curation: { ...settings.curation!, overlap: false } };
    const overlap = memoryPlan(settings).host.selection - memoryPlan(apart).host.selection;
    expect(overlap).toBeGreaterThan(0.13e9);
    expect(overlap).toBeLessThan(0.24e9);
    const { device } = memoryPlan(settings);
    expect(device.scorer).toBe(device.parameters);
    const { curation: _, ...plain } = settings;
    expect(memoryPlan(plain)).toMatchObject({ host: { selection: 0 }, device: { scorer: 0 } });
  });

  it('in bf16 is that of f32 where the CPU has no bf16', () => {
    const { settings } = planSettings('4k-whole', data);
    const on = (precision: 'bf16' | 'f32', cpu: string) => memoryPlan({ ...settings, precision }, 1e6, 1, cpu);
    const [plain, fast] = [on('bf16', 'avx2'), on('bf16', 'avx512_bf16')];
    const { activations } = on('f32', 'avx2').device;
    expect(plain.device.activations + plain.copies).toBe(activations);
    expect(fast.copies).toBe(0);
    expect(plain.processBytes - fast.processBytes).toBe(plain.copies);
    expect(plain.gpuBytes).toBe(fast.gpuBytes);
    expect(on('f32', 'avx2').copies).toBe(0);
  });

  // Linux alone tells a process its peak.
  it.skipIf(memoryOf('VmHWM') === null).each(long ? (['demo', 'wide', 'all'] as const) : (['demo', 'wide'] as const))(
    'of %s is estimated at no less than 0.85 of the measured peak, and at no more than 1.25 of it',
    (name) => {
      const child = new URL('peak-child.ts', import.meta.url).pathname;
      const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
      const { device, host, atWork, copies, unreturned } = memoryPlan(peakSettings(name));
      const state = device.parameters + device.optimiser + device.teacher;
      // No loader runs there, and no snapshot is taken.
      const planned = host.graph + state + device.gradients + atWork + copies + unreturned.step;
      // A plan is of the worst run: one whose threads meet kindly, 15 percent below others, says little, and goes on for a while.
      const enough = `${planned / 1.15}`;
      const args = ['--import', 'tsx', child, name, enough];
      const peak = Number(execFileSync(process.execPath, args, { encoding: 'utf8', stdio, env: trainerVariables() }));
      expect(planned / peak).toBeGreaterThan(0.85);
      // With several arenas it was 1.15; one takes less, and has been measured on a CPU with AVX2 alone: 1.12 there.
      expect(planned / peak).toBeLessThan(1.25);
    },
    300_000,
  );
});
