import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KeptBatch } from '../../src/data/batches/kept-batch.ts';
import { PieceStore } from '../../src/data/batches/piece-store.ts';
import { SpillFile } from '../../src/data/batches/spill-file.ts';
import type { Batch, BatchFacts } from '../../src/data/batches/types.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer, type Trainer } from '../../src/train/step.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch, tinyObjectives } from './tiny-objectives.ts';

// Two objectives, one of the whole batch and one of examples with arrays of its own, in three micro-batches of two.
const { sigmoid, captioning } = tinyObjectives;
const settings: PhaseSettings = { ...tinySettings, accumulate: 3, objectives: { sigmoid, captioning } };
let trainer: Trainer;
let folder: string;
beforeAll(async () => {
  trainer = createTrainer(settings);
  folder = await mkdtemp(join(tmpdir(), 'siglip2-step-on-'));
}, 60_000);
afterAll(async () => {
  trainer.program.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** A batch that arrives row by row and lies on the disk; `arrived` rows so far. */
function onDisk(batch: Batch, count = 6) {
  const rows = (all: Batch['tokens' | 'images'] | Float32Array, i: number) =>
    all.slice((i * all.length) / count, ((i + 1) * all.length) / count);
  let arrived = 0;
  const store = new PieceStore(new SpillFile(folder, 2 ** 16), 0);
  const kept: KeptBatch = new KeptBatch({ index: batch.index, of: count }, store, {
    async receive(wanted) {
      if (!wanted()) return;
      const first = arrived++;
      const parts = Object.fromEntries(Object.entries(batch.parts).map(([name, all]) => [name, rows(all, first)]));
      const arrays = {
        images: rows(batch.images, first) as Uint8Array,
        tokens: rows(batch.tokens, first) as Int32Array,
      };
      await kept.add({ ...batch, ...arrays, parts, first, count: 1, of: count });
    },
    released() {},
  });
  return { kept, store, arrived: () => arrived };
}

describe('a step on a batch that arrives in pieces and lies on the disk', () => {
  it('is the step on the batch in memory, to the byte, whose rows are all made when they are looked at', async () => {
    trainer.program.write(freshState(settings));
    const plain = [1, 2].map((step) => trainer.step(step, noiseBatch(settings, step)));
    const state = trainer.program.read(trainer.stateNames);
    trainer.program.write(freshState(settings));
    for (const step of [1, 2]) {
      const { kept, store, arrived } = onDisk(noiseBatch(settings, step));
      const looked: [BatchFacts, number][] = [];
      const metrics = await trainer.stepOn(step, kept, undefined, {
        look: (facts) => void looked.push([facts, arrived()]),
      });
      expect(metrics).toEqual(plain[step - 1]);
      expect(looked).toEqual([[{ index: step, skipped: [] }, 6]]);
      await store.close();
    }
    const again = trainer.program.read(trainer.stateNames);
    for (const name of trainer.stateNames) expect(again[name], name).toEqual(state[name]);
  }, 60_000);

  it('ends before its rows are used when who looks at it refuses it', async () => {
    const { kept, store } = onDisk(noiseBatch(settings, 3));
    const look = () => {
      throw new Error('all alike');
    };
    await expect(trainer.stepOn(3, kept, undefined, { look })).rejects.toThrow('all alike');
    await store.close();
  });
});
