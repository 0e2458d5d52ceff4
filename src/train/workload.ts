import { encoderFlops, mapHeadFlops } from '../model/flops.ts';
import { embeddingWidth } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { picturesComputed } from './kept-features.ts';
import { keepsFeatures } from './losses.ts';
import { headsOf, passesOf } from './passes.ts';

/** What a phase asks of a device, by arithmetic alone; its memory is that of `memory-plan.ts`. */
export interface Workload {
  /**
   * Floating-point operations of steps for each example: matmuls, backward as two forwards, recomputed blocks counted; without
   * the image tower where what comes of it is kept.
   */
  readonly flopsPerExample: number;
  /** Of a picture before a step, where what comes of it is kept; else 0. */
  readonly flopsPerPicture: number;
}

export function workloadOf(settings: PhaseSettings): Workload {
  // Each length is drawn as often.
  const each = new PhaseSteps(settings.batches).shapes().map(({ length }) => flopsOf(settings, length));
  const mean = (of: (flops: Workload) => number) => each.reduce((sum, flops) => sum + of(flops), 0) / each.length;
  return {
    flopsPerExample: mean(({ flopsPerExample }) => flopsPerExample),
    flopsPerPicture: mean(({ flopsPerPicture }) => flopsPerPicture),
  };
}

/** Of a phase of so many examples, drawn from `data` that there are, which is many where it is not known. */
export function phaseFlops(settings: PhaseSettings, examples: number, data = Number.POSITIVE_INFINITY): number {
  const { flopsPerExample, flopsPerPicture } = workloadOf(settings);
  return flopsPerExample * examples + flopsPerPicture * picturesComputed(settings, examples, data);
}

function flopsOf(settings: PhaseSettings, patches: number | null): Workload {
  const { model, objectives, batches, remat } = settings;
  const keeps = keepsFeatures(settings);
  let flops = 0;
  let flopsPerPicture = 0;
  for (const { size, sequences, length, patch, memory, reach } of passesOf(settings, patches)) {
    const rows = sequences * length;
    const { width, depth } = size;
    let layers = encoderFlops(size, rows, length);
    if (memory) {
      layers += depth * (2 * 2 * rows * width * width + 2 * 2 * rows * memory.length * width);
      layers += depth * 2 * 2 * memory.length * memory.width * width;
    }
    const ends =
      (patch ? 2 * rows * 3 * patch ** 2 * width + mapHeadFlops(size, sequences, length) : 0) +
      (memory ? 2 * rows * width * model.text.vocabulary : 0);
    if (patch && keeps) {
      flopsPerPicture += layers + ends;
      continue;
    }
    // Of a block backward is a forward for what it was given, and one for its weights.
    const backward = (layers * (reach.through + reach.weights)) / depth + (reach.any ? 2 * ends : 0);
    flops += layers + ends + backward + (remat === 'blocks' ? (layers * reach.through) / depth : 0);
  }
  for (const { size, student, teacher } of headsOf(settings)) {
    const { hidden, bottleneck, prototypes } = size;
    const { width } = model.vision;
    const row = width * hidden + hidden * hidden + hidden * bottleneck + bottleneck * prototypes;
    flops += (3 * student + teacher) * 2 * row;
  }
  if (objectives.sigmoid) flops += 3 * 2 * embeddingWidth(model) * (model.text.width + batches.batch);
  return { flopsPerExample: flops, flopsPerPicture };
}
