import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { makeRecipeData } from '../../infra/demo/data.ts';
import { fetchMetrics } from '../../src/commands/fetch-metrics.ts';
import type { EvaluationReport } from '../../src/evaluate/report.ts';
import { endProcess } from '../../src/runtime/end-process.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { readJsonLines } from '../../src/telemetry/json-lines.ts';
import { withRecipeRuns } from '../support/recipe-runs.ts';
import { type RoundsOptions, roundsProgram } from './arguments.ts';
import { withOneProcess } from './one-process.ts';
import { nameOf, type Outcome, table } from './outcome.ts';
import { type ComparedRecipe, look, recipeOf, shortened, type Variant, variantsOf } from './variants.ts';

/**
 * `npm run rounds`: what do rounds cost in loss? The same recipe on as many examples, by one replica and by several, in every
 * combination that is asked for, as real runs of one worker, one after another, or in this process.
 */
async function main({ seeds, batch, recipe, steps, inProcess, json, ...lists }: RoundsOptions): Promise<void> {
  const read: ComparedRecipe = JSON.parse(readFileSync(recipe, 'utf8'));
  const written = steps === undefined ? read : shortened(read, steps);
  if (inProcess && lists.exchange.some((kind) => kind !== 'f32'))
    throw new RunnerError('RecipeInvalid', 'in this process changes are exchanged in f32 alone; add --exchange f32');
  const variants = variantsOf(lists);
  // What can't be is said before anything is trained.
  const recipes = variants.map((of) => recipeOf(written, of, batch));
  const before = json ? outcomesOf(json, { recipe: written, batch }) : [];
  const using = inProcess ? withOneProcess : withRuns;
  await using(recipes[0]!, async ({ say, run }) => {
    const outcomes = [...before];
    const isThere = (of: Variant, seed: number) =>
      outcomes.some((one) => one.seed === seed && nameOf(one) === nameOf(of));
    for (let seed = 1; seed <= seeds; seed++)
      for (const [i, of] of variants.entries()) {
        if (isThere(of, seed)) continue;
        const began = performance.now();
        const name = `${i}-seed-${seed}`;
        const figures = await run(name, { ...recipes[i]!, seed });
        outcomes.push({ ...of, seed, ...figures, seconds: Math.round((performance.now() - began) / 1000) });
        say(`${table(outcomes)}\n`);
        if (json) writeFileSync(json, `${JSON.stringify({ recipe: written, batch, outcomes }, null, 2)}\n`);
      }
    process.stdout.write(`\n${table(outcomes)}\n`);
  });
}

/** The same by real runs of one worker. */
const withRuns: typeof withOneProcess = (recipe, use) =>
  withRecipeRuns('rounds', async ({ store, say, run }) => {
    await makeRecipeData(store, recipe, say);
    await use({
      say,
      async run(name, recipe) {
        const [phase] = (await run(name, recipe)).phases;
        const { zero_shot, retrieval } = phase!.evaluation!.report as unknown as EvaluationReport;
        return { loss: await lossOf(store, name), top1: zero_shot.top1, recall: retrieval.image_to_text.r1 };
      },
    });
  });

/** What an earlier call wrote, of the same recipe: it is not trained again. */
function outcomesOf(file: string, how: object): readonly Outcome[] {
  if (!existsSync(file)) return [];
  const { outcomes, ...rest } = JSON.parse(readFileSync(file, 'utf8')) as { readonly outcomes: readonly Outcome[] };
  if (isDeepStrictEqual(rest, JSON.parse(JSON.stringify(how)))) return outcomes;
  throw new RunnerError('RecipeInvalid', `${file} holds figures of another recipe or batch; name another file`);
}

async function lossOf(store: ObjectStore, run: string): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'figures-'));
  try {
    await fetchMetrics(store, run, folder);
    const losses = readJsonLines(readFileSync(join(folder, `${look}.jsonl`))).map(({ values }) => values['loss/mean']!);
    return losses.reduce((a, b) => a + b, 0) / losses.length;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

try {
  await main(roundsProgram().parse().opts<RoundsOptions>());
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
await endProcess();
