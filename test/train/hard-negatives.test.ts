import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { BatchMaker } from '../../src/data/batches/batch-maker.ts';
import { collectTokenIds } from '../../src/data/example/token-ids.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { ShardCache } from '../../src/data/index/shard-cache.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { tarOf } from '../data/tar-file.ts';

const colors = ['red', 'green', 'blue', 'yellow', 'black', 'white', 'purple', 'orange'];
const store = new MemoryStore();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-hard-negatives-'));
  const members = await Promise.all(
    colors.map(async (background, i) => {
      const picture = sharp({ create: { width: 16, height: 16, channels: 3, background } }).png();
      // The last has none. What is wrong for a picture is right for another.
      const negatives = i === 7 ? undefined : [`a ${colors[(i + 1) % 7]} square`];
      const meta = { captions: { en: [`a ${background} square`] }, ...(negatives && { negatives }) };
      return [
        { name: `${i}.png`, body: await picture.toBuffer() },
        { name: `${i}.json`, body: JSON.stringify(meta) },
      ];
    }),
  );
  await store.put('d/0.tar', tarOf(members.flat()));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it.each([
  ['whole', 1],
  ['in micro-batches', 4],
])(
  'texts that the data name as wrong are told from the right one, of real pictures and texts: %s',
  async (_, accumulate) => {
    const tower = { width: 16, depth: 1, mlp: 32, heads: 2 };
    const recipe = parseRecipe({
      version: 1,
      precision: 'f32',
      model: {
        vision: { size: tower, patch: 8, resolution: 16 },
        text: { size: tower, length: 8, vocabulary: 'compact' },
      },
      data: { train: 'd', resize: 'antialias', captions: [{ language: 'en', weight: 1 }], labelShare: 1 },
      optimizer: { learningRate: 3e-3, multipliers: { logit_scale: 10, logit_bias: 10 } },
      schedule: { total: { steps: 1000 } },
      phases: [{ name: 'tune', batch: 8, accumulate, objectives: { sigmoid: 1, hardNegatives: { texts: 2 } } }],
    });
    const index = await indexData(store, 'd');
    const vocabulary = await collectTokenIds(store, index, ['en'], { negatives: true });
    const settings = phaseSettings(recipe, recipe.phases[0]!, { examples: index.examples, vocabulary });
    const maker = new BatchMaker(index, settings.batches, new ShardCache(store, folder));
    const trainer = createTrainer(settings);
    trainer.program.write(freshState(settings));
    const losses: number[] = [];
    for (let step = 1; step <= 60; step++) {
      const { objectives } = trainer.step(step, await maker.make(step - 1));
      losses.push(objectives['loss/hardNegatives']!);
      // An epoch is a batch: seven of eight have one text of the two that there is room for.
      expect(objectives['hardNegatives/share']).toBeCloseTo(7 / 16, 6);
    }
    trainer.program.dispose();
    const last = losses.slice(-5).reduce((a, b) => a + b) / 5;
    expect(last).toBeLessThan(0.5 * Math.max(...losses));
  },
);
