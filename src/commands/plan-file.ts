import { indexRecipe, recipeVocabulary } from '../data/example/recipe-data.ts';
import { checkAgainstData, parseRecipe } from '../recipe/parse.ts';
import type { Recipe } from '../recipe/schema.ts';
import type { DataFacts } from '../recipe/settings.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { RunnerError } from '../runtime/errors.ts';
import { objectStoreFromEnvironment } from '../storage/s3.ts';
import { memoryProblems } from '../train/fits.ts';
import { type Estimate, estimate, type PhaseEstimate } from './estimate.ts';

/** `siglip2 plan`: checks a recipe as a run would, and says what it will take, and whether that fits the device. */
export async function planFile(
  text: string,
  file: string,
  json: boolean,
  device: DeviceMemory | null,
): Promise<string> {
  const recipe = parseRecipe(parseJson(text, file));
  const { facts, problem } = await factsOf(recipe);
  if (facts) checkAgainstData(recipe, facts);
  const known = facts ?? (recipe.model.text.vocabulary === 'full' ? { examples: 0, vocabulary: null } : null);
  if (device && known) requireMemory(recipe, known, device);
  const found = estimate(recipe, facts);
  return json ? `${JSON.stringify({ ...found, device, problem })}\n` : format(found, facts, problem, device);
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

function requireMemory(recipe: Recipe, facts: DataFacts, device: DeviceMemory): void {
  const problems = memoryProblems(recipe, facts, device);
  if (problems.length > 0) throw new RunnerError('RecipeInvalid', problems.join('\n'));
}

function format(found: Estimate, facts: DataFacts | null, problem: string | null, device: DeviceMemory | null): string {
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
      memory(phase, device),
      `    ${operations(phase.flops)} floating-point operations`,
      ...curationLines(phase.curation),
      `    in the bucket at most ${size(mostBytes)} while it trains, ${size(keptBytes)} when it has ended`,
    );
  }
  const kept = found.phases.reduce((sum, { keptBytes }) => sum + keptBytes, 0);
  if (found.phases.length > 1) lines.push(`  ${size(kept)} of checkpoints stay in all`);
  if (problem) lines.push(`  The data was not looked at: ${problem}`);
  return `${lines.join('\n')}\n`;
}

function curationLines(curation: PhaseEstimate['curation']): string[] {
  if (!curation) return [];
  const { candidatesPerExample, choosingFlops, scoringFlops, storedBytes } = curation;
  const ratio = candidatesPerExample.toFixed(candidatesPerExample % 1 === 0 ? 0 : 2);
  const scoring =
    scoringFlops === null
      ? 'the teacher scores as often as the data and its size say'
      : scoringLine(scoringFlops, storedBytes);
  return [
    `    ${ratio} candidates for each example that is trained on: ${operations(choosingFlops)} operations to choose`,
    `    ${scoring}`,
  ];
}

function scoringLine(flops: number, stored: number | null): string {
  if (flops === 0) return 'no teacher scores';
  return `${operations(flops)} operations of the teacher${stored ? `, once, and ${size(stored)} of embeddings in the bucket` : ''}`;
}

function memory({ gpuBytes, processBytes }: PhaseEstimate, device: DeviceMemory | null): string {
  const here = device ? `, of ${size(device.bytes)}${device.kind === 'gpu' ? ' of the GPU' : ''}` : '';
  return `    about ${size(device?.kind === 'gpu' ? gpuBytes : processBytes)} of memory at the peak of a step${here}`;
}

/** 3.2e17, as papers say it. */
const operations = (flops: number) => flops.toExponential(1).replace('e+', 'e');
const count = (value: number) => value.toLocaleString('en-US');
const size = (bytes: number) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`);
