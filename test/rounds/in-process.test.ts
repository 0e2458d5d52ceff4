import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readDocumentAs } from '../../activities/documents.ts';
import { plan } from '../../activities/plan.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { restoreCheckpoint } from '../../src/checkpoint/restore.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { trainedSettings } from '../../src/recipe/trained-settings.ts';
import { readState } from '../../src/train/state.ts';
import { realTrainer } from '../activities/real-trainer.ts';
import { driveRounds } from '../activities/round-driver.ts';
import { drawExamples } from './drawn.ts';
import { trainInProcess } from './in-process.ts';

const real = realTrainer();

/** Two rounds of two slots, and one of a single step that one slot has. */
const recipe = (replicas: object) => ({
  version: 1,
  precision: 'f32',
  model: {
    vision: { size: { width: 8, depth: 1, mlp: 8, heads: 2 }, patch: 4, resolution: 16 },
    text: { size: { width: 8, depth: 1, mlp: 8, heads: 2 }, length: 6, vocabulary: 'compact' },
  },
  data: { train: 'data/emoji/train' },
  schedule: { total: { steps: 13 }, warmup: { steps: 2 } },
  optimizer: { learningRate: 0.05, weightDecay: 0.1 },
  phases: [
    {
      ...{ name: 'pretrain', batch: 8, objectives: { sigmoid: 1 } },
      replicas: { number: 2, steps: 3, exchange: 'f32', ...replicas },
    },
  ],
  checkpoint: { every: { steps: 2 }, shard: { steps: 2 } },
});

it.each([
  { negatives: 'local', moments: 'averaged', outer: { rate: 1, momentum: 0 } },
  { negatives: 'bank', moments: 'reset', outer: { rate: 0.7, momentum: 0.9 } },
  { negatives: 'reweighted', moments: 'kept', outer: { rate: 1, momentum: 0.5, nesterov: false } },
])(
  'rounds in one process come to the state of those that lanes and merges of a worker come to, to the bit: $negatives, $moments',
  async (replicas) => {
    const { store, on, trainer, env } = real();
    const run = `${replicas.negatives}-${replicas.moments}`;
    const attempt = on.attempt();
    const { phases } = await plan(on.deps(store, { trainer }), { run, recipe: recipe(replicas) }, attempt);
    const end = await driveRounds(on, [on.deps(store, { trainer })], phases[0]!);
    const folder = await mkdtemp(join(on.folder, 'end-'));
    await restoreCheckpoint(store, await readCommit(store, end), folder);
    const settings = await readDocumentAs<PhaseSettings>(store, phases[0]!.settings, folder);
    const expected = await readState(folder, trainedSettings(settings));

    const index = await indexData(store, 'data/emoji/train');
    const drawn = await drawExamples(index, settings, 13 * 8, env);
    const state = await trainInProcess(settings, 13, drawn);
    expect(Object.keys(state).sort()).toEqual(Object.keys(expected).sort());
    const other = Object.keys(state).filter((name) => {
      const [a, b] = [state[name]!, expected[name]!];
      return a.length !== b.length || a.some((value, i) => !Object.is(value, b[i]));
    });
    expect(other).toEqual([]);
  },
  200_000,
);
