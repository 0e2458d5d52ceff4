import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeEmojiDataset } from '../../infra/emoji/make.ts';
import { BatchMaker } from '../../src/data/batches/batch-maker.ts';
import { collectTokenIds } from '../../src/data/example/read-examples.ts';
import { loadTokenizer } from '../../src/data/example/tokenizer.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { ShardCache } from '../../src/data/index/shard-cache.ts';
import type { DataIndex } from '../../src/data/index/types.ts';
import type { Objectives } from '../../src/recipe/objectives.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { placesOf } from '../../src/recipe/places.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { MemoryStore } from '../data/memory-store.ts';

const store = new MemoryStore();
let folder: string;
let index: DataIndex;
let vocabulary: number[];
let written: { phases: { objectives: Objectives }[] };
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-objectives-'));
  await makeEmojiDataset(store, { concepts: 32, scenes: 64 });
  const file = await readFile(new URL('../../infra/recipes/graph.json', import.meta.url), 'utf8');
  written = JSON.parse(file);
  const recipe = parseRecipe(JSON.parse(file));
  index = await indexData(store, placesOf(recipe.data.train));
  vocabulary = await collectTokenIds(store, index, loadTokenizer(), ['en'], { captioning: true });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/**
 * Losses of the first step, and the mean of the last ones, on real pictures, scenes and texts. (Those of self-distillation
 * fall fast at first, while the teacher says the same of all pictures, and rise again as its centre follows.)
 */
async function train(objectives: object, steps: number) {
  const recipe = parseRecipe({
    ...written,
    optimizer: { learningRate: 3e-3, multipliers: { logit_scale: 10, logit_bias: 10 } },
    schedule: { total: { steps: 10_000 } },
    phases: [{ name: 'pretrain', batch: 32, objectives }],
  });
  const settings = phaseSettings(recipe, recipe.phases[0]!, { examples: index.examples, vocabulary });
  const maker = new BatchMaker(index, settings.batches, new ShardCache(store, folder));
  const trainer = createTrainer(settings);
  trainer.program.write(freshState(settings));
  const losses: Record<string, number>[] = [];
  for (let step = 1; step <= steps; step++) {
    const { objectives: reported } = trainer.step(step, await maker.make(step - 1));
    losses.push(Object.fromEntries(Object.entries(reported).filter(([key]) => key.startsWith('loss/'))));
  }
  trainer.program.dispose();
  const mean = (part: typeof losses, key: string) => part.reduce((sum, one) => sum + one[key]!, 0) / part.length;
  return Object.keys(losses[0]!).map((key) => ({
    name: key.slice('loss/'.length),
    first: losses[0]![key]!,
    last: mean(losses.slice(-steps / 5), key),
  }));
}

describe('on emoji and scenes of emoji', () => {
  const alone = ['sigmoid', 'captioning', 'localToGlobal', 'maskedPrediction'] as const;
  const wanted = (names: readonly string[]) => {
    const every = written.phases[1]!.objectives as Record<string, unknown>;
    return Object.fromEntries(names.map((name) => [name, every[name]]));
  };

  it.each(alone)('%s alone goes down', async (name) => {
    const found = await train(wanted([name]), 60);
    expect(found.map((loss) => loss.name)).toEqual([name]);
    for (const { first, last } of found) expect(last, `from ${first}`).toBeLessThan(0.97 * first);
  });

  it('all of them go down together', async () => {
    const found = await train(wanted(alone), 60);
    expect(found.map((loss) => loss.name)).toEqual(alone);
    for (const { name, first, last } of found) expect(last, `${name} from ${first}`).toBeLessThan(0.97 * first);
  });
});
