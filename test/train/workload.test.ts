import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { stepFlops } from '../../src/model/flops.ts';
import { memoryProblem } from '../../src/train/fits.ts';
import { workloadOf } from '../../src/train/workload.ts';
import { memoryOf } from '../bench/memory.ts';
import { stepSettings } from '../bench/shapes.ts';
import { peakSettings } from './peak-shapes.ts';

const s16 = stepSettings('step/s16', 'f32');

describe('what a step computes', () => {
  it('is every matmul of the towers, backward as two forwards, and blocks once more where they are recomputed', () => {
    const { model, batches } = s16;
    const flops = batches.batch * workloadOf(s16).flopsPerExample;
    expect(flops / stepFlops(model, batches.batch)).toBeCloseTo(1, 4);
    const again = batches.batch * workloadOf({ ...s16, remat: 'blocks' }).flopsPerExample;
    expect(again / flops).toBeGreaterThan(1.3);
    expect(again / flops).toBeLessThan(4 / 3);
  });

  it('of a decoder is its layers for three texts, what they see of the image, and the logits, counted by hand', () => {
    const all = peakSettings('all');
    const alone = { ...all, objectives: { sigmoid: all.objectives.sigmoid! } };
    const both = { ...all, objectives: { ...alone.objectives, captioning: all.objectives.captioning! } };
    const more = workloadOf(both).flopsPerExample - workloadOf(alone).flopsPerExample;
    const [width, rows, patches, layers] = [128, 3 * 16, 64, 2];
    const self = rows * (4 * width ** 2 + 2 * 16 * width + 8 * width ** 2);
    const cross = rows * (2 * width ** 2 + 2 * patches * width) + patches * 2 * width ** 2;
    expect(more).toBe(3 * 2 * (layers * (self + cross) + rows * width * 5000));
  });
});

describe('whether a phase fits a device', () => {
  const gpu = (gigabytes: number) => ({ kind: 'gpu' as const, bytes: gigabytes * 1e9 });

  it('is said with what would help, of which each does', () => {
    const large = { ...s16, batches: { ...s16.batches, batch: 256 } };
    expect(memoryProblem(large, gpu(80))).toBe(null);
    const problem = memoryProblem(large, gpu(12))!;
    expect(problem).toMatch(
      /^phase pretrain needs about 36 GB at the peak of a step, and the GPU has 12 GB; what would/,
    );
    const [, parts] = /"accumulate": (\d+)/.exec(problem)!;
    expect(memoryProblem({ ...large, accumulate: Number(parts) }, gpu(12))).toBe(null);
    const [, batch] = /"batch": (\d+)/.exec(problem)!;
    expect(memoryProblem({ ...large, batches: { ...large.batches, batch: Number(batch) } }, gpu(12))).toBe(null);
    expect(problem).toMatch(/"remat": "blocks" \(\d/);
    expect(memoryProblem({ ...large, remat: 'blocks' }, gpu(12))).toBe(null);
    // In bfloat16 alone it would not.
    expect(problem).not.toMatch(/bf16/);
    expect(memoryProblem({ ...large, precision: 'bf16' }, gpu(12))).not.toBe(null);
  });

  it('is a matter of the model alone where its state is too large', () => {
    expect(memoryProblem(s16, { kind: 'cpu', bytes: 1e9 })).toMatch(/and the machine has 1.0 GB; only a smaller model/);
  });

  // Linux alone tells a process its peak.
  it.skipIf(memoryOf('VmHWM') === null).each(['demo', 'wide', 'all'] as const)(
    'is estimated within 15 %% of the measured peak: %s',
    (name) => {
      const child = new URL('peak-child.ts', import.meta.url).pathname;
      const stdio: ['ignore', 'pipe', 'ignore'] = ['ignore', 'pipe', 'ignore'];
      const out = execFileSync(process.execPath, ['--import', 'tsx', child, name], { encoding: 'utf8', stdio });
      const ratio = workloadOf(peakSettings(name)).processBytes / Number(out);
      expect(ratio).toBeGreaterThan(0.85);
      expect(ratio).toBeLessThan(1.15);
    },
    120_000,
  );
});
