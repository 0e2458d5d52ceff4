import { readFileSync, writeFileSync } from 'node:fs';
import { estimate } from '../../src/commands/estimate.ts';
import { newRecipe } from '../../src/commands/recipe-new.ts';
import { lookAt } from '../../src/plan/look.ts';
import type { taskRecipe } from '../../src/recipe/tasks.ts';
import { endProcess } from '../../src/runtime/end-process.ts';
import { withRecipeRuns } from '../support/recipe-runs.ts';
import { type TuningOptions, tuningProgram } from './arguments.ts';
import { documentsBetween } from './between.ts';
import { compareStretches } from './compare-stretches.ts';
import { makeTuningDataset, placeOf } from './data.ts';
import { differencesBetween, documentsOf, valuesOf } from './figures.ts';
import { type Between, curveTable, type Differences, nameOf, type Outcome, sentences, table } from './outcome.ts';
import { secondsIn, stepSeconds, stepsWithin } from './pace.ts';
import { type BaseRecipe, baseRecipe, methods, tunedRecipe, variantsOf } from './variants.ts';

/** Measured in so many turns of so many steps. */
const turns = 2;
const paceSteps = 20;

/**
 * `npm run tuning`: which way to fine-tune pays? A model is trained on five styles of emoji; from there it is fine-tuned on a
 * sixth as the tasks of `recipe new` do it, each for the same time, and evaluated on pictures of both that were not trained on.
 */
async function main(options: TuningOptions): Promise<void> {
  const { seconds, baseSteps, seeds, rates, ratios, fall, recipe, json, ...asked } = options;
  const read: BaseRecipe = JSON.parse(readFileSync(recipe, 'utf8'));
  // What can't be is said before anything is trained.
  const base = baseRecipe(read, baseSteps);
  await withRecipeRuns('tuning', async (runs) => {
    const { store, say, run } = runs;
    const { examples } = await makeTuningDataset(store, { log: say });
    const [trained] = (await run('base', base)).phases;
    const untouched = await documentsOf(store, trained!);
    const from = `base/${read.phases[0]!.name}`;
    const variants = variantsOf(asked.methods, rates);
    const written: Record<string, ReturnType<typeof taskRecipe>> = {};
    for (const task of new Set(variants.map(({ method }) => methods[method]))) {
      const wanted = { task, from, data: placeOf('new/train'), device: null, open: () => store };
      written[task] = (await newRecipe(wanted)).recipe as ReturnType<typeof taskRecipe>;
    }
    const measured: Record<string, number>[] = [];
    for (let turn = 0; turn < (asked.steps ? 0 : turns); turn++) {
      const took: Record<string, number> = {};
      for (const [task, one] of Object.entries(written)) {
        const short = tunedRecipe(
          one,
          read,
          { method: 'full', times: 1 },
          { steps: paceSteps, seed: turn, fall: null },
        );
        took[task] = secondsIn((await run(`pace-${task}-${turn}`, short)).phases[0]!) / paceSteps;
      }
      measured.push(took);
      say(`seconds of a step: ${JSON.stringify(took)}`);
    }
    const step = stepSeconds(measured);
    const nothing = { rate: 0, steps: 0, of: 0, seconds: 0, trained: 0, beside: {} };
    const between: Between[] = [];
    const outcomes: Outcome[] = [{ variant: null, seed: 0, figures: valuesOf(untouched), ...nothing }];
    const tell = () => {
      say(`${table(outcomes)}\n`);
      const told = { recipe: read, baseSteps, seconds, fall, examples, measured, outcomes, between };
      if (json) writeFileSync(json, `${JSON.stringify(told, null, 2)}\n`);
    };
    tell();
    for (let seed = 1; seed <= seeds; seed++) {
      const before = { untouched };
      for (const variant of variants) {
        const task = methods[variant.method];
        const steps = asked.steps ?? stepsWithin(seconds, step[task]!);
        const tuned = tunedRecipe(written[task]!, read, variant, { steps, seed, fall });
        const { resolved, facts } = await lookAt(tuned, { open: () => store });
        const name = `${nameOf(variant).replace(' ', '-')}-seed-${seed}`;
        const [phase] = (await run(name, tuned)).phases;
        const found = await documentsOf(store, phase!);
        const beside: Record<string, Differences> = {};
        for (const [one, other] of Object.entries(before)) beside[one] = await differencesBetween(store, other, found);
        Object.assign(before, { [nameOf(variant)]: found });
        outcomes.push({
          ...{ variant, seed, rate: written[task]!.optimizer.learningRate * variant.times, of: steps },
          // Steps are counted on from those of the model that is gone on from.
          steps: phase!.checkpoint.step - trained!.checkpoint.step,
          ...{ seconds: secondsIn(phase!), figures: valuesOf(found), beside },
          trained: estimate(resolved!, facts).phases[0]!.trained,
        });
        const models = { from, to: `${name}/${phase!.phase}` };
        const ends = { before: untouched, after: found };
        for (const ratio of ratios) {
          const documents = await documentsBetween(runs, models, ends, ratio);
          between.push({ variant, seed, ratio, figures: valuesOf(documents) });
        }
        tell();
      }
    }
    const said = [
      table(outcomes),
      sentences(outcomes).join('\n'),
      ...(between.length > 0 ? [curveTable(between)] : []),
    ];
    process.stdout.write(`\n${said.join('\n\n')}\n`);
  });
}

try {
  const options = tuningProgram().parse().opts<TuningOptions>();
  await (options.stretch ? compareStretches(options) : main(options));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
await endProcess();
