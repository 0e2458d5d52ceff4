import type { Batch } from '../../src/data/batches/types.ts';
import { pictureWidth } from '../../src/recipe/batch-plan.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { randomStream } from '../../src/runtime/random.ts';

/** One fixed batch of even noise: nothing in a step's time depends on what is in it. */
export function noiseBatch({ batches, model }: PhaseSettings): Batch {
  const random = randomStream(1, 'bench');
  const { batch, resolution, textLength } = batches;
  const parts = batches.parts?.pictures && {
    pictures: Int32Array.from({ length: batch * pictureWidth }, () => random.below(2 ** 31)),
  };
  return {
    index: 0,
    images: Uint8Array.from({ length: batch * resolution * resolution * 3 }, () => random.below(256)),
    tokens: Int32Array.from({ length: batch * textLength }, () => random.below(model.text.vocabulary)),
    parts: { ...parts },
    skipped: [],
  };
}
