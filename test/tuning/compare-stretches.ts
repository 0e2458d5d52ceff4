import { readFileSync, writeFileSync } from 'node:fs';
import { flatFigures } from '../../src/evaluate/result.ts';
import { withRecipeRuns } from '../support/recipe-runs.ts';
import type { TuningOptions } from './arguments.ts';
import { type Documents, documentsOf } from './figures.ts';
import { makeLongerDataset } from './longer-data.ts';
import {
  longerTask,
  type Stretched,
  type StretchedRecipe,
  shortRecipe,
  stretchedRecipe,
  stretches,
  stretchFigures,
  stretchTable,
} from './stretches.ts';

/**
 * `npm run tuning -- --stretch 64,256`: which way to stretch positions of texts keeps most of a model, and which is better once
 * it is trained on? A model learns short and long texts, the long ones cut; its texts are then made longer in every way, and
 * each is looked at before and after the same steps.
 */
export async function compareStretches(options: TuningOptions): Promise<void> {
  const { baseSteps, seeds, recipe, json, steps = 200, stretch } = options;
  const read: StretchedRecipe = JSON.parse(readFileSync(recipe, 'utf8'));
  const [before, after] = stretch!;
  const base = shortRecipe(read, baseSteps, before);
  await withRecipeRuns('stretching', async ({ store, say, run }) => {
    const { examples } = await makeLongerDataset(store, { log: say });
    const outcomes: Stretched[] = [];
    const found = async (name: string, made: object, of: Pick<Stretched, 'how' | 'seed' | 'steps'>) => {
      const [phase] = (await run(name, made)).phases;
      outcomes.push({ ...of, figures: figuresOf(await documentsOf(store, phase!)) });
      say(`${stretchTable(outcomes)}\n`);
      const told = { recipe: read, baseSteps, stretch, examples, outcomes };
      if (json) writeFileSync(json, `${JSON.stringify(told, null, 2)}\n`);
    };
    await found('base', base, { how: null, seed: 0, steps: 0 });
    for (const how of stretches.filter((one) => one !== 'none'))
      await found(`${how}-0`, stretchedRecipe(read, how, { length: after, steps: 0, seed: 0 }), {
        ...{ how, seed: 0, steps: 0 },
      });
    for (let seed = 1; seed <= seeds; seed++)
      for (const how of stretches) {
        const made = stretchedRecipe(read, how, { length: after, steps, seed });
        await found(`${how}-seed-${seed}`, made, { how, seed, steps });
      }
    process.stdout.write(`\n${stretchTable(outcomes)}\n`);
  });
}

function figuresOf(documents: Documents): Record<string, number> {
  const { figures } = documents[longerTask.name]!;
  const byPath = (name: string) => new Map(flatFigures(figures.find(({ evaluator }) => evaluator === name)!.figures));
  return Object.fromEntries(stretchFigures.map(([name, [evaluator, path]]) => [name, byPath(evaluator).get(path)!]));
}
