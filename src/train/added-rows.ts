import { pieceProblem } from '../data/example/added-pieces.ts';
import { loadTokenizer, rulesOf } from '../data/example/tokenizer.ts';
import type { ParameterSpec } from '../model/parameters.ts';
import type { ModelConfig } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { StateFiles } from './state-files.ts';
import { chunkBytes } from './token-rows.ts';

/** The model that a phase begins with, where it adds tokens: without these. */
export function beforeTokens(settings: PhaseSettings): ModelConfig['text'] {
  const { tokensAdded = 0, model } = settings;
  const { addedTokens = [], ...text } = model.text;
  const before = addedTokens.slice(0, addedTokens.length - tokensAdded);
  const vocabulary = text.vocabulary - tokensAdded;
  return { ...text, vocabulary, ...(before.length > 0 && { addedTokens: before }) };
}

/** The tokens that the state of a phase has: all of its model, or those of before where its config.json says so. */
export function addedTokensIn(
  said: ModelConfig | null,
  settings: PhaseSettings,
): Pick<ModelConfig['text'], 'addedTokens'> {
  const before = beforeTokens(settings).addedTokens ?? [];
  const isBefore = said !== null && JSON.stringify(said.text.addedTokens ?? []) === JSON.stringify(before);
  const { addedTokens = [] } = settings.model.text;
  return { addedTokens: isBefore ? before : addedTokens };
}

/**
 * The table of the towers with every row, which files hold. Rows of tokens that the phase adds are zeros where the state is
 * of before. A table of other rows is another model's: RecipeInvalid.
 */
export async function wholeTable(
  { model }: StateFiles,
  settings: PhaseSettings,
  { name, shape }: ParameterSpec,
): Promise<Float32Array<ArrayBuffer>> {
  const [rows = 0, width = 0] = shape;
  const { dtype, shape: held } = model.info(name);
  if (held[0] === rows || held[1] !== width || dtype !== 'F32') return model.readFloats(name, shape);
  if (held[0] !== beforeTokens(settings).vocabulary)
    throw new RunnerError(
      'RecipeInvalid',
      `${model.path} has a table of ${held[0]} tokens, and the recipe's model has ${rows}: text.addedTokens of a phase adds what the model lacks, and a phase that goes on from it has the same`,
    );
  const table = new Float32Array(rows * width);
  const bytes = new Uint8Array(table.buffer);
  let done = 0;
  // In chunks: a table is up to a GB, and two of them at once would be the most memory of the start.
  for await (const chunk of model.chunks(name, chunkBytes)) {
    bytes.set(chunk, done);
    done += chunk.length;
  }
  return table;
}

/** Sets the rows of tokens that a phase adds: the mean of those of the pieces that each was before, in double precision. */
export function setMeans(table: Float32Array, settings: PhaseSettings, width: number): void {
  const before = beforeTokens(settings);
  const { addedTokens = [] } = settings.model.text;
  const tokenizer = loadTokenizer(rulesOf({ text: before }));
  const first = before.addedTokens?.length ?? 0;
  for (const [i, token] of addedTokens.slice(first).entries()) {
    const problem = pieceProblem(token, tokenizer);
    if (problem) throw new RunnerError('RecipeInvalid', `text.addedTokens of phase ${settings.phase} ${problem}`);
    const pieces = tokenizer.ids(token);
    const row = (before.vocabulary + i) * width;
    for (let k = 0; k < width; k++) {
      let sum = 0;
      for (const id of pieces) sum += table[id * width + k]!;
      table[row + k] = sum / pieces.length;
    }
  }
}
