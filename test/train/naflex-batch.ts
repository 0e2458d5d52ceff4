import type { Batch } from '../../src/data/batches/types.ts';
import type { BatchPlan } from '../../src/recipe/batch-plan.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { PhaseSteps } from '../../src/recipe/steps.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tinySettings } from './settings.ts';

const { vision } = tinySettings.model;
/** Two lengths, the longer one trained on in two steps. */
export const naflexBatches = {
  ...tinySettings.batches,
  naflex: { lengths: [4, 6], halveFrom: 6, patch: vision.patch },
};

export const naflexSettings: PhaseSettings = {
  ...tinySettings,
  model: { ...tinySettings.model, vision: { ...vision, kind: 'naflex' } },
  batches: naflexBatches,
};

const line = 3 * vision.patch ** 2;

/** Noise as patches of images of shapes that fit; steps count from 1. */
export function naflexBatchAt(step: number, of: BatchPlan = naflexBatches): Batch {
  const { count, length } = new PhaseSteps(of).at(step - 1);
  const random = randomStream(3, 'naflex', step);
  const shapes = Array.from({ length: count }, () => [1 + random.below(2), 1 + random.below(length! / 2)]);
  const patchMask = new Float32Array(count * length!);
  for (const [i, [rows, columns]] of shapes.entries()) patchMask.fill(1, i * length!, i * length! + rows! * columns!);
  const images = new Uint8Array(count * length! * line).map((_, at) =>
    patchMask[Math.floor(at / line)] === 0 ? 0 : random.below(256),
  );
  const { textLength } = naflexBatches;
  const tokens = Int32Array.from({ length: count * textLength }, () => random.below(9));
  const spatialShapes = Int32Array.from(shapes.flat());
  return { index: step - 1, length: length!, images, tokens, parts: { patchMask, spatialShapes }, skipped: [] };
}
