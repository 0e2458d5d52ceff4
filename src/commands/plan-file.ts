import { indexRecipe, recipeVocabulary } from '../data/recipe-data.ts';
import { checkAgainstData, parseRecipe } from '../recipe/parse.ts';
import type { Recipe } from '../recipe/schema.ts';
import type { DataFacts } from '../recipe/settings.ts';
import { RunnerError } from '../runtime/errors.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { type Estimate, estimate } from './estimate.ts';

/** `siglip2 plan`: checks a recipe as a run would, and says what it will take. */
export async function planFile(text: string, file: string, json: boolean): Promise<string> {
  const recipe = parseRecipe(parseJson(text, file));
  const { facts, problem } = await factsOf(recipe);
  if (facts) checkAgainstData(recipe, facts);
  const found = estimate(recipe, facts);
  return json ? `${JSON.stringify({ ...found, problem })}\n` : format(found, facts, problem);
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RunnerError('RecipeInvalid', `${file} is no JSON: ${(cause as Error).message}`, { cause });
  }
}

/** The data as it lies in the bucket; a recipe can be looked at without it too. */
async function factsOf(recipe: Recipe): Promise<{ facts: DataFacts | null; problem: string | null }> {
  try {
    const store = objectStoreFromEnvironment();
    const data = await indexRecipe(store, recipe);
    return { facts: { ...data.epochs, vocabulary: await recipeVocabulary(store, recipe, data) }, problem: null };
  } catch (error) {
    return { facts: null, problem: (error as Error).message };
  }
}

function format(found: Estimate, facts: DataFacts | null, problem: string | null): string {
  const lines = ['The recipe is right.'];
  for (const phase of found.phases) {
    const { name, parameters, bytesPerCheckpoint, steps, examples, epochs, shards, checkpoints } = phase;
    const { mostBytes, keptBytes } = phase;
    lines.push(
      `  phase ${name}: ${count(steps)} steps, ${count(examples)} examples${epochs === null ? '' : ` (${epochs.toFixed(1)} epochs)`}`,
      `    ${count(parameters)} parameters${facts ? '' : ' (with the full token table)'}, ${size(bytesPerCheckpoint)} a checkpoint`,
      shards === null || checkpoints === null
        ? '    shards and checkpoints as often as the first steps tell'
        : `    ${shards} shards, at most ${checkpoints} checkpoints`,
      `    in the bucket at most ${size(mostBytes)} while it trains, ${size(keptBytes)} when it has ended`,
    );
  }
  if (problem) lines.push(`  The data was not looked at: ${problem}`);
  return `${lines.join('\n')}\n`;
}

const count = (value: number) => value.toLocaleString('en-US');
const size = (bytes: number) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`);
