import { describe, expect, it } from 'vitest';
import { memoryProblem } from '../../src/train/fits.ts';
import { stepSettings } from '../bench/shapes.ts';

const s16 = stepSettings('step/s16', 'f32');

describe('whether a phase fits a device', () => {
  const gpu = (gigabytes: number) => ({ kind: 'gpu' as const, bytes: gigabytes * 1e9 });

  it('is said with what would help, of which each does', () => {
    const large = { ...s16, batches: { ...s16.batches, batch: 256 } };
    expect(memoryProblem(large, gpu(80))).toBe(null);
    const problem = memoryProblem(large, gpu(12))!;
    expect(problem).toMatch(
      /^phase pretrain needs about 33 GB at the peak of a step, and the GPU has 12 GB; what would/,
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

  it('on the machine is held against what each of several trainers may have', () => {
    const cpu = (trainers?: number) => ({ kind: 'cpu' as const, bytes: 8e9, ...(trainers && { trainers }) });
    expect(memoryProblem(s16, cpu())).toBe(null);
    expect(memoryProblem(s16, cpu(1))).toBe(null);
    expect(memoryProblem(s16, cpu(8))).toMatch(
      /^phase pretrain needs about [\d.]+ GB at the peak of a step in each of 8 trainers, and the machine has 8.0 GB; /,
    );
    expect(memoryProblem(s16, { ...gpu(80), host: 16e9, trainers: 1 })).toBe(null);
    expect(memoryProblem(s16, { ...gpu(80), host: 16e9, trainers: 64 })).toMatch(
      /^phase pretrain needs about [\d.]+ GB of the machine beside each of 64 GPUs, which has 16 GB; /,
    );
  });

  it('is a matter of the model alone where its state is too large', () => {
    expect(memoryProblem(s16, { kind: 'cpu', bytes: 1e9 })).toMatch(/and the machine has 1.0 GB; only a smaller model/);
  });
});
