import type { Batch } from '../../src/data/batches/types.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { naflexBatchAt, naflexSettings } from '../train/naflex-batch.ts';
import { tinySettings } from '../train/settings.ts';
import { noiseBatch, tinyObjectives } from '../train/tiny-objectives.ts';

/** A tiny phase with every op of its kind, and its batches; steps count from 1. */
interface Kind {
  readonly settings: PhaseSettings;
  readonly batchAt: (step: number) => Batch;
}

const square = (changes: Partial<PhaseSettings>): Kind => {
  const settings = { ...tinySettings, ...changes };
  return { settings, batchAt: (step) => noiseBatch(settings, step) };
};

const kinds = {
  sigmoid: square({}),
  objectives: square({ objectives: tinyObjectives }),
  'micro-batches': square({ objectives: tinyObjectives, accumulate: 3, remat: 'blocks' }),
  /** With the graph that looks at candidates, which no step runs. */
  curation: square({
    curation: { chunks: 2, scores: 'hardLearner', joint: true, scoring: 'online', dtype: 'f32' },
    batches: { ...tinySettings.batches, candidates: 12 },
  }),
  naflex: { settings: naflexSettings, batchAt: (step: number) => naflexBatchAt(step) },
};

export type KindName = keyof typeof kinds;
export const kindNames = Object.keys(kinds) as KindName[];
export const kindOf = (name: KindName): Kind => kinds[name];
