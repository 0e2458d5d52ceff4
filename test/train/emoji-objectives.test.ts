import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BatchMaker } from '../../src/data/batches/batch-maker.ts';
import type { Batch } from '../../src/data/batches/types.ts';
import { collectTokenIds } from '../../src/data/example/token-ids.ts';
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
import { drawnEmoji } from '../support/drawn-emoji.ts';

const store = new MemoryStore();
let folder: string;
let index: DataIndex;
let vocabulary: number[];
let written: { phases: { objectives: Objectives }[] };
/** With the arrays of every objective. */
let batches: Batch[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-objectives-'));
  await drawnEmoji(store, { concepts: 32, scenes: 64 });
  const file = await readFile(new URL('../../infra/recipes/graph.json', import.meta.url), 'utf8');
  written = JSON.parse(file);
  const recipe = parseRecipe(JSON.parse(file));
  index = await indexData(store, placesOf(recipe.data.train));
  vocabulary = await collectTokenIds(store, index, ['en'], { captioning: true });
  const maker = new BatchMaker(index, settingsOf(wanted(alone)).batches, new ShardCache(store, folder));
  batches = [];
  for (let k = 0; k < 24; k++) batches.push(await maker.make(k));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const alone = ['sigmoid', 'captioning', 'localToGlobal', 'maskedPrediction'] as const;

/** Some objectives of the recipe, with what is to be otherwise in them. */
const wanted = (names: readonly string[], changes: object = {}) => {
  const every = written.phases[1]!.objectives as Record<string, object | number>;
  const own = (name: string) => (typeof every[name] === 'object' ? { ...every[name], ...changes } : every[name]);
  return Object.fromEntries(names.map((name) => [name, own(name)]));
};

function settingsOf(objectives: object) {
  const recipe = parseRecipe({
    ...written,
    optimizer: { learningRate: 3e-3, multipliers: { logit_scale: 10, logit_bias: 10 } },
    schedule: { total: { steps: 10_000 } },
    phases: [{ name: 'pretrain', batch: 32, objectives }],
  });
  return phaseSettings(recipe, recipe.phases[0]!, { examples: index.examples, vocabulary });
}

/** Losses of the first step, the mean of the last ones, and what is watched then, on real pictures, scenes and texts. */
async function train(objectives: object, steps: number) {
  const settings = settingsOf(objectives);
  const trainer = createTrainer(settings);
  trainer.program.write(freshState(settings));
  const losses: Record<string, number>[] = [];
  const batchAt = (step: number) => batches[(step - 1) % batches.length]!;
  for (let step = 1; step <= steps; step++) {
    const { objectives: reported } = trainer.step(step, batchAt(step));
    losses.push(Object.fromEntries(Object.entries(reported).filter(([key]) => key.startsWith('loss/'))));
  }
  const watched = trainer.watch(steps, batchAt(steps));
  trainer.program.dispose();
  const mean = (part: typeof losses, key: string) => part.reduce((sum, one) => sum + one[key]!, 0) / part.length;
  const found = Object.keys(losses[0]!).map((key) => ({
    name: key.slice('loss/'.length),
    first: losses[0]![key]!,
    last: mean(losses.slice(-steps / 5), key),
  }));
  const teacher = (name: string, figure: string) => watched[`${name}/teacher${figure}`]!;
  return { found, teacher };
}

describe('on emoji and scenes of emoji', () => {
  it.each(['sigmoid', 'captioning'])('%s alone goes down', async (name) => {
    const { found } = await train(wanted([name]), 60);
    expect(found.map((loss) => loss.name)).toEqual([name]);
    for (const { first, last } of found) expect(last, `from ${first}`).toBeLessThan(0.97 * first);
  });

  // Its loss says nothing: it falls fast while the teacher says the same of all pictures, and rises when it tells them apart.
  it.each([
    ['localToGlobal', 0.1],
    ['maskedPrediction', 0.5],
  ] as const)('the teacher of %s alone tells pictures apart after 300 steps', async (name, bound) => {
    const { teacher } = await train(wanted([name]), 300);
    expect(teacher(name, 'Information')).toBeGreaterThan(bound);
    expect(teacher(name, 'Entropy')).toBeGreaterThan(0.1);
  });

  it.each([
    ['a centre that never moves', 'one prototype', { centerMomentum: 1 }, 0],
    ['a teacher as flat as the student', 'all prototypes alike', { teacherTemperature: 0.1 }, Math.log(128)],
  ] as const)(
    'with %s it comes to say %s of all pictures, which its loss would pass for',
    async (_, __, changes, entropy) => {
      const { teacher, found } = await train(wanted(['localToGlobal'], changes), 100);
      expect(teacher('localToGlobal', 'Information')).toBeLessThan(0.001);
      expect(teacher('localToGlobal', 'Entropy')).toBeCloseTo(entropy, 1);
      expect(found[0]!.last).toBeLessThan(entropy + 0.1);
    },
  );

  it('all of them together go down, or tell pictures apart', async () => {
    const { found, teacher } = await train(wanted(alone), 100);
    expect(found.map((loss) => loss.name)).toEqual(alone);
    for (const { name, first, last } of found.slice(0, 2))
      expect(last, `${name} from ${first}`).toBeLessThan(0.97 * first);
    expect(teacher('localToGlobal', 'Information')).toBeGreaterThan(0.05);
    expect(teacher('maskedPrediction', 'Information')).toBeGreaterThan(0.2);
  });
});
