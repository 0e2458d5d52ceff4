import type { Values } from '../../src/compile/definition.ts';
import type { Batch } from '../../src/data/batches/types.ts';
import type { ObjectiveSettings } from '../../src/recipe/objective-settings.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { permutation, type RandomStream, randomStream } from '../../src/runtime/random.ts';
import { exampleFeeds } from '../../src/train/losses.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { tinySettings } from './settings.ts';

const distillation = {
  hidden: 12,
  bottleneck: 8,
  prototypes: 10,
  studentTemperature: 0.1,
  teacherTemperature: 0.04,
  centerMomentum: 0.9,
};

/** Every objective, small: one that is missing here does not compile. */
export const tinyObjectives: Required<ObjectiveSettings> = {
  sigmoid: { weight: 1 },
  captioning: { weight: 1, depth: 1, chunk: 50 },
  localToGlobal: { weight: 1, ...distillation, views: 2, resolution: 12 },
  maskedPrediction: { weight: 0.25, ...distillation, share: 0.5 },
  hardNegatives: { weight: 0.5, texts: 2 },
};

/** Arrays that even noise would not do for, by the name of the feed: `size` elements for a whole batch. */
const drawn: Readonly<Record<string, (size: number, random: RandomStream) => Values[string]>> = {
  tokens: (size, random) => Int32Array.from({ length: size }, () => random.below(tinySettings.model.text.vocabulary)),
  negativeTokens: (size, random) =>
    Int32Array.from({ length: size }, () => random.below(tinySettings.model.text.vocabulary)),
  negativeWeights: (size, random) => Float32Array.from({ length: size }, () => random.below(2)),
  targets: (size, random) => Int32Array.from({ length: size }, () => random.below(tinySettings.model.text.vocabulary)),
  // Of so few values that many are the same.
  groups: (size, random) => Int32Array.from({ length: size }, () => random.below(8)),
  parallel: (size, random) => Int32Array.from({ length: size }, () => random.below(2)),
  // Two of the four patches of each image.
  maskedPatches: (size, random) =>
    Int32Array.from(Array.from({ length: size / 2 }, () => [...permutation(4, random).subarray(0, 2)]).flat()),
};

/** A batch of noise with every array that the objectives of a phase ask for: a pure function of (settings, index). */
export function noiseBatch(settings: PhaseSettings, index: number): Batch {
  const feeds = exampleFeeds(settings, phaseState(settings), { count: settings.batches.batch, length: null });
  const { images, tokens, ...parts } = Object.fromEntries(
    Object.entries(feeds).map(([name, { shape, dtype }]): [string, Values[string]] => {
      const random = randomStream(3, `noise/${name}`, index);
      const length = shape.reduce((a, b) => a * b, 1);
      if (drawn[name]) return [name, drawn[name](length, random)];
      if (dtype === 'uint8') return [name, Uint8Array.from({ length }, () => random.below(256))];
      if (dtype === 'float32') return [name, Float32Array.from({ length }, () => random.next())];
      throw new Error(`say in tiny-objectives.ts how the feed ${name} is drawn`);
    }),
  );
  return { index, images: images as Uint8Array, tokens: tokens as Int32Array, parts, skipped: [] };
}
