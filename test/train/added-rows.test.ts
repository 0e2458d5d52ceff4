import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { modelConfigFile } from '../../src/checkpoint/hugging-face/config.ts';
import type { Values } from '../../src/compile/definition.ts';
import type { Batch } from '../../src/data/batches/types.ts';
import { tokenTable } from '../../src/model/parameters.ts';
import { fullVocabulary, wholeVocabulary } from '../../src/model/sizes.ts';
import { firstMoment, secondMoment } from '../../src/optimiser/optimiser.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { checkpointBytes } from '../../src/train/checkpoint-bytes.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { StateFiles } from '../../src/train/state-files.ts';
import { createTrainer } from '../../src/train/step.ts';
import { readUpdates, updateTensors } from '../../src/train/stored-updates.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch } from './tiny-objectives.ts';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'siglip2-added-rows-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

// The pieces are those of transformers.
const { words, pieces } = JSON.parse(
  await readFile(new URL('../checkpoint/hugging-face/fixtures/added-tokens.json', import.meta.url), 'utf8'),
) as { words: string[]; pieces: number[][] };
const { width } = tinySettings.model.text;

/** A phase of a model with these tokens, the last of which it adds. */
function phase(addedTokens: readonly string[], tokensAdded = 0): PhaseSettings {
  const { addedTokens: _, ...text } = { ...tinySettings.model.text, addedTokens: [] };
  const added = addedTokens.length > 0 && { addedTokens };
  return {
    ...tinySettings,
    model: { ...tinySettings.model, text: { ...text, vocabulary: wholeVocabulary(added || {}), ...added } },
    batches: { ...tinySettings.batches, ...added },
    ...(tokensAdded > 0 && { tokensAdded }),
  };
}

/** As a worker finds it: the state, and the config.json beside it unless it was not fetched. */
async function written(name: string, settings: PhaseSettings, state: Values, { config = true } = {}) {
  const folder = join(scratch, name);
  await mkdir(folder);
  await writeState(folder, settings, state);
  if (config) await writeFile(join(folder, 'config.json'), modelConfigFile(settings.model).content);
  return folder;
}

const bytes = (values: Values[string]) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
const rowOf = (state: Values, id: number, name = tokenTable) => state[name]!.slice(id * width, (id + 1) * width);

/** The mean of the rows of some pieces, summed in double precision and rounded once. */
const meanOf = (state: Values, ids: readonly number[]) =>
  Float32Array.from(
    { length: width },
    (_, k) => ids.reduce((sum, id) => sum + state[tokenTable]![id * width + k]!, 0) / ids.length,
  );

const before = phase([]);
const [first, second] = [phase(words.slice(0, 2), 2), phase(words, words.length - 2)];

/** As drawn of noise, with added tokens in each text. */
function batchOf(settings: PhaseSettings, step: number): Batch {
  const batch = noiseBatch(settings, step);
  return { ...batch, tokens: batch.tokens.map((id, i) => (i % 5 === 1 ? fullVocabulary + (i % 2) : id)) };
}

it.each([{ config: true }, { config: false }])(
  'rows of new tokens begin as the mean of those of their pieces, without moments, and no other number is another (%j)',
  async ({ config }) => {
    const { [tokenTable]: table, ...others } = freshState(before);
    const moments = {
      [firstMoment(tokenTable)]: table!.map(() => 0.25),
      [secondMoment(tokenTable)]: table!.map(() => 4),
    };
    const start: Values = { [tokenTable]: table!, ...others, ...moments };
    const folder = await written(`import-${config}`, before, start, { config });
    const state = await readState(folder, first);
    for (const [name, values] of Object.entries(start)) {
      const own = state[name]!;
      expect(bytes(own.slice(0, values.length) as typeof own).equals(bytes(values)), name).toBe(true);
      const isTable = [tokenTable, firstMoment(tokenTable), secondMoment(tokenTable)].includes(name);
      expect(own.length - values.length, name).toBe(isTable ? 2 * width : 0);
      if (isTable && name !== tokenTable) expect([...own.slice(values.length)]).toEqual(new Array(2 * width).fill(0));
    }
    for (const [i, ids] of pieces.slice(0, 2).entries()) {
      expect(ids.length).toBeGreaterThan(1);
      expect(rowOf(state, fullVocabulary + i)).toEqual(meanOf(start, ids));
    }
    // The moments of their rows have seen nothing, whatever those of the others have.
    const { own } = await readUpdates(folder, first, { step: 40, within: false });
    const counts = own[tokenTable]!;
    expect([counts[0], counts[fullVocabulary - 1], ...counts.slice(fullVocabulary)]).toEqual([40, 40, 0, 0]);
  },
  60_000,
);

it('training moves a new row, a resume is the same to the byte, a phase that goes on keeps the rows and may add more', async () => {
  const start = await readState(await written('base', before, freshState(before)), first);
  const trainer = createTrainer(first);
  trainer.program.write(start);
  for (let step = 1; step <= 2; step++) trainer.step(step, batchOf(first, step));
  const state = trainer.program.read(trainer.stateNames);
  expect(rowOf(state, fullVocabulary)).not.toEqual(rowOf(start, fullVocabulary));
  expect(rowOf(state, fullVocabulary, firstMoment(tokenTable)).some((value) => value !== 0)).toBe(true);
  const folder = join(scratch, 'trained');
  await mkdir(folder);
  const { state: files } = await writeState(folder, first, state, { tensors: updateTensors(trainer.updatesAfter(2)) });
  await writeFile(join(folder, 'config.json'), modelConfigFile(first.model).content);
  const { each } = checkpointBytes(first);
  const size = files.reduce((sum, { bytes }) => sum + bytes, 0);
  // Headers, and how often each row was updated.
  expect(size - each).toBeGreaterThan(0);
  expect(size - each).toBeLessThan(100_000 + 4 * (fullVocabulary + 2));
  const opened = await StateFiles.open(folder);
  expect(opened.model.info(tokenTable).shape).toEqual([fullVocabulary + 2, width]);
  await opened.close();

  const resumed = await readState(folder, first);
  expect(Object.keys(resumed).sort()).toEqual(Object.keys(state).sort());
  for (const name of Object.keys(state)) expect(bytes(resumed[name]!).equals(bytes(state[name]!)), name).toBe(true);
  const third = trainer.step(3, batchOf(first, 3));
  const again = createTrainer(first, { updates: await readUpdates(folder, first, { step: 2, within: true }) });
  again.program.write(resumed);
  expect(again.step(3, batchOf(first, 3))).toEqual(third);
  const [left, right] = [again, trainer].map((one) => one.program.read(one.stateNames));
  for (const name of Object.keys(left!)) expect(bytes(left![name]!).equals(bytes(right![name]!)), name).toBe(true);
  for (const one of [trainer, again]) one.program.dispose();

  const { tokensAdded: _, ...plain } = first;
  const branch = await readState(folder, plain);
  expect(bytes(branch[tokenTable]!).equals(bytes(state[tokenTable]!))).toBe(true);
  const more = await readState(folder, second);
  expect(
    bytes(more[tokenTable]!.slice(0, state[tokenTable]!.length) as Float32Array).equals(bytes(state[tokenTable]!)),
  ).toBe(true);
  for (const [i, ids] of pieces.entries())
    if (i >= 2) expect(rowOf(more, fullVocabulary + i), words[i]).toEqual(meanOf(state, ids));
}, 120_000);

it('a frozen table stays what it was, with the means', async () => {
  const start = await readState(await written('frozen', before, freshState(before)), first);
  const trainer = createTrainer({ ...first, freeze: ['tokenTable'] });
  trainer.program.write(Object.fromEntries(trainer.stateNames.map((name) => [name, start[name]!])));
  trainer.step(1, batchOf(first, 1));
  const state = trainer.program.read(trainer.stateNames);
  trainer.program.dispose();
  expect(bytes(state[tokenTable]!).equals(bytes(start[tokenTable]!))).toBe(true);
}, 60_000);

it('the state of another model is refused by name, whether its config.json is there or only its table', async () => {
  const two = await written('two', phase(words.slice(0, 2)), freshState(phase(words.slice(0, 2))));
  const other = phase([words[1]!, words[0]!]);
  await expect(readState(two, other)).rejects.toMatchObject({
    code: 'RecipeInvalid',
    message: expect.stringContaining(
      'model.text.addedTokens is ["<sku>-xl","<sku>"], and the checkpoint has ["<sku>","<sku>-xl"]',
    ),
  });
  await expect(readState(two, before)).rejects.toMatchObject({
    code: 'RecipeInvalid',
    message: expect.stringContaining('model.text.addedTokens is [], and the checkpoint has ["<sku>","<sku>-xl"]'),
  });
  await rm(join(two, 'config.json'));
  await expect(readState(two, before)).rejects.toMatchObject({
    code: 'RecipeInvalid',
    message: expect.stringContaining("has a table of 256002 tokens, and the recipe's model has 256000"),
  });
  const base = await written('one-piece', before, freshState(before));
  await expect(readState(base, phase(['cat'], 1))).rejects.toMatchObject({
    code: 'RecipeInvalid',
    message:
      'text.addedTokens of phase pretrain has "cat", which is one piece already, with the id 4991; what is more than one is allowed',
  });
}, 60_000);
