import { describe, expect, it } from 'vitest';
import { stepFlops } from '../../src/model/flops.ts';
import { phaseFlops, workloadOf } from '../../src/train/workload.ts';
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

  it('of kept pictures is their tower once for each that fits, with places that stay empty, and the rest at each step', () => {
    const lit = { ...s16, train: ['text', 'scaleAndBias'] };
    const kept = { ...lit, frozenFeatures: 'kept' as const, batches: { ...s16.batches, batch: 32 } };
    const all = workloadOf({ ...lit, batches: kept.batches });
    const { flopsPerExample, flopsPerPicture } = workloadOf(kept);
    expect(all.flopsPerPicture).toBe(0);
    expect(flopsPerExample + flopsPerPicture).toBeCloseTo(all.flopsPerExample, -3);
    // Five epochs of a thousand pictures.
    expect(phaseFlops(kept, 5000, 1000)).toBeCloseTo(5000 * flopsPerExample + 1500 * flopsPerPicture, -6);
    // Of 2^21 pictures 1 GiB holds 554,618 of 384 numbers and 400 bytes: in a second epoch the others are computed again.
    const data = 2 ** 21;
    const most = Math.floor(2 ** 30 / (4 * 384 + 400));
    const rows = 1.5 * (data + (data - most));
    expect(phaseFlops(kept, 2 * data, data) / (2 * data * flopsPerExample + rows * flopsPerPicture)).toBeCloseTo(1, 9);
    expect(phaseFlops(lit, 5000, 1000)).toBe(5000 * workloadOf(lit).flopsPerExample);
  });
});
