import { readFileSync, writeFileSync } from 'node:fs';
import { makeRecipeData } from '../../infra/demo/data.ts';
import type { EvaluationReport } from '../../src/evaluate/report.ts';
import { endProcess } from '../../src/runtime/end-process.ts';
import { withRecipeRuns } from '../support/recipe-runs.ts';
import { type RoundsOptions, roundsProgram } from './arguments.ts';
import { type Outcome, table } from './outcome.ts';
import { type ComparedRecipe, recipeOf, shortened, variantsOf } from './variants.ts';

/**
 * `npm run rounds`: what do rounds cost in loss? The same recipe on as many examples, by one replica and by several, in every
 * combination that is asked for, as real runs of one worker, one after another.
 */
async function main({ seeds, batch, recipe, steps, json, ...lists }: RoundsOptions): Promise<void> {
  const read: ComparedRecipe = JSON.parse(readFileSync(recipe, 'utf8'));
  const written = steps === undefined ? read : shortened(read, steps);
  const variants = variantsOf(lists);
  // What can't be is said before anything is trained.
  const recipes = variants.map((of) => recipeOf(written, of, batch));
  await withRecipeRuns('rounds', async ({ store, say, run }) => {
    await makeRecipeData(store, recipes[0]!, say);
    const outcomes: Outcome[] = [];
    for (let seed = 1; seed <= seeds; seed++)
      for (const [i, of] of variants.entries()) {
        const began = performance.now();
        const [phase] = (await run(`${i}-seed-${seed}`, { ...recipes[i]!, seed })).phases;
        const { metrics, evaluation } = phase!;
        const { zero_shot, retrieval } = evaluation!.report as unknown as EvaluationReport;
        const loss = metrics.figures?.['loss/mean'] ?? metrics.loss;
        const figures = { loss, top1: zero_shot.top1, recall: retrieval.image_to_text.r1 };
        outcomes.push({ ...of, seed, ...figures, seconds: Math.round((performance.now() - began) / 1000) });
        say(`${table(outcomes)}\n`);
        if (json) writeFileSync(json, `${JSON.stringify({ recipe: written, batch, outcomes }, null, 2)}\n`);
      }
    process.stdout.write(`\n${table(outcomes)}\n`);
  });
}

try {
  await main(roundsProgram().parse().opts<RoundsOptions>());
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
await endProcess();
