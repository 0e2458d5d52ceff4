import { describe, expect, it } from 'vitest';
import type { Values } from '../../src/compile/definition.ts';
import { resampleParameters } from '../../src/model/resample.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { naflexBatchAt as batchAt, naflexBatches as batches, naflexSettings as settings } from './naflex-batch.ts';
import { tinySettings } from './settings.ts';

const { vision } = tinySettings.model;

function train(
  changes: Partial<PhaseSettings> & { batches?: typeof batches },
  state: Values = freshState(settings),
  count = 8,
) {
  const trainer = createTrainer({ ...settings, ...changes });
  trainer.program.write(state);
  const reports = Array.from({ length: count }, (_, i) => trainer.step(i + 1, batchAt(i + 1, changes.batches), 30));
  const values = trainer.program.read(trainer.stateNames);
  trainer.program.dispose();
  return { reports, values };
}

describe('training on images of any shape', () => {
  it('draws both lengths, moves every parameter, and ends in the same bytes in every run', () => {
    const drawn = Array.from({ length: 8 }, (_, i) => batchAt(i + 1).length);
    expect(new Set(drawn)).toEqual(new Set([4, 6]));
    const start = freshState(settings);
    const [one, two] = [train({}, start), train({}, start)];
    expect(one).toEqual(two);
    for (const name of ['patch_embedding', 'position_embedding']) {
      const key = `vision_model.embeddings.${name}.weight`;
      expect(one.values[key], name).not.toEqual(start[key]);
    }
  });

  it('in two micro-batches has the gradients of whole batches, at every length', () => {
    // Plain descent shows the gradient: Adam would hide its size.
    const optimizer = { ...settings.optimizer, clipNorm: 1e9, beta1: 0, beta2: 0, epsilon: 1e6, learningRate: 1e5 };
    const plain = { optimizer: { ...optimizer, weightDecay: 0, multipliers: {} }, schedule: { total: 1e9, warmup: 0 } };
    const whole = train({ ...plain, batches: { ...batches, batch: 4 } });
    const parts = train({ ...plain, batches: { ...batches, batch: 4 }, accumulate: 2, remat: 'blocks' });
    for (const [i, { loss, gradientNorm }] of parts.reports.entries()) {
      expect(loss / whole.reports[i]!.loss).toBeCloseTo(1, 5);
      expect(gradientNorm / whole.reports[i]!.gradientNorm).toBeCloseTo(1, 4);
    }
  });

  it('sees what the fixed tower sees when images are squares without padding', () => {
    const fixed = createTrainer(tinySettings);
    const start = freshState(tinySettings);
    const { patch, resolution } = vision;
    const random = randomStream(4, 'square');
    const images = Uint8Array.from({ length: 6 * resolution ** 2 * 3 }, () => random.below(256));
    const tokens = Int32Array.from({ length: 6 * batches.textLength }, () => random.below(9));
    fixed.program.write(start);
    const expected = fixed.step(1, { index: 0, images, tokens, parts: {}, skipped: [] }, 0);
    fixed.program.dispose();

    const grid = resolution / patch;
    const patches = new Uint8Array(images.length);
    let to = 0;
    for (let i = 0; i < 6; i++)
      for (let cell = 0; cell < grid * grid; cell++)
        for (let y = 0; y < patch; y++) {
          const row = Math.floor(cell / grid) * patch + y;
          const from = ((i * resolution + row) * resolution + (cell % grid) * patch) * 3;
          patches.set(images.subarray(from, from + patch * 3), to);
          to += patch * 3;
        }
    const one = { ...settings, batches: { ...batches, naflex: { ...batches.naflex, lengths: [grid * grid] } } };
    one.batches.naflex.halveFrom = 100;
    const trainer = createTrainer(one);
    const held = (name: string) => start[name] as Float32Array;
    trainer.program.write({ ...start, ...resampleParameters(held, tinySettings.model, settings.model) } as Values);
    const parts = {
      patchMask: new Float32Array(6 * grid * grid).fill(1),
      spatialShapes: new Int32Array(12).fill(grid),
    };
    const found = trainer.step(1, { index: 0, length: grid * grid, images: patches, tokens, parts, skipped: [] }, 0);
    trainer.program.dispose();
    expect(found.loss / expected.loss).toBeCloseTo(1, 6);
    expect(found.gradientNorm / expected.gradientNorm).toBeCloseTo(1, 5);
  });
});
