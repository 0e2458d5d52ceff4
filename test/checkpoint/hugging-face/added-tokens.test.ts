import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { modelConfigFile } from '../../../src/checkpoint/hugging-face/config.ts';
import { readModelConfig } from '../../../src/checkpoint/hugging-face/read-config.ts';
import { readTokenizer } from '../../../src/checkpoint/hugging-face/read-tokenizer.ts';
import { tokenizerFolderFiles } from '../../../src/checkpoint/hugging-face/tokenizer.ts';
import { loadTokenizer, rulesOf } from '../../../src/data/example/tokenizer.ts';
import { wordModel, words } from './added-tokens.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-added-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Fixture {
  readonly words: string[];
  readonly texts: {
    readonly text: string;
    readonly ids: number[];
    readonly padded: number[];
    readonly decoded: string;
  }[];
}
// By make_added_tokens.py, which also holds AutoTokenizer of the exported folder to them.
const fixture = JSON.parse(await readFile(new URL('./fixtures/added-tokens.json', import.meta.url), 'utf8')) as Fixture;

it('texts have the ids that transformers gives them after add_tokens, and are spelt as it spells them', () => {
  expect(fixture.words).toEqual(words);
  const tokenizer = loadTokenizer(rulesOf(wordModel(words)));
  const used = new Set<number>();
  for (const { text, ids, padded, decoded } of fixture.texts) {
    expect({ text, ids: tokenizer.ids(text) }).toEqual({ text, ids });
    expect({ text, ids: [...tokenizer.tokenize([text], 16)] }).toEqual({ text, ids: padded });
    expect(tokenizer.text(ids)).toBe(decoded);
    for (const id of ids) if (id >= 256_000) used.add(id);
  }
  expect([...used].sort()).toEqual(words.map((_, i) => 256_000 + i));
  // Another tokenizer of this process knows nothing of them.
  expect(Math.max(...loadTokenizer().ids('<sku> zyxxyz'))).toBeLessThan(256_000);
});

it('an exported folder is read as what it was written of, and one whose files contradict one another is refused', async () => {
  const model = wordModel(words);
  const { content } = modelConfigFile(model);
  expect(JSON.parse(content).text_config).toMatchObject({ vocab_size: 256_007, added_tokens: words });
  expect(readModelConfig(content, 'config.json').text).toEqual(model.text);
  const files = await tokenizerFolderFiles(model);
  for (const { path, content } of files) await writeFile(join(folder, path), content);
  expect(await readTokenizer(folder, model)).toMatchObject({ lowerCase: true, added: words });
  await expect(readTokenizer(folder, wordModel(words.slice(1)))).rejects.toMatchObject({
    code: 'RecipeInvalid',
    message: expect.stringMatching(
      /added_tokens has \["<sku>".* after Gemma's; the text_config.added_tokens of config.json/,
    ),
  });
  await expect(readTokenizer(folder, wordModel())).rejects.toMatchObject({ code: 'RecipeInvalid' });
  const { added_tokens_decoder } = JSON.parse(files.find(({ path }) => path === 'tokenizer_config.json')!.content);
  expect(added_tokens_decoder[256_002]).toEqual({
    ...{ content: 'Ṣaḥīḥ', normalized: true, special: false },
    ...{ lstrip: false, rstrip: false, single_word: false },
  });
  expect(Object.keys(added_tokens_decoder)).toHaveLength(4 + words.length);
});

it.each([
  [{ vocab_size: 256_006 }, /vocab_size is 256006; 256007 with the 7 of text_config.added_tokens is allowed/],
  [{ added_tokens: undefined }, /vocab_size is 256007; 256000 is allowed/],
  [{ added_tokens: [...words.slice(1), 'ZYXXYZ'] }, /added_tokens has "ZYXXYZ", which is read as "zyxxyz" is/],
  [{ added_tokens: 'words' }, /added_tokens is "words"/],
])('a config.json of %j beside added tokens is refused', (other, said) => {
  const json = JSON.parse(modelConfigFile(wordModel(words)).content);
  Object.assign(json.text_config, other);
  expect(() => readModelConfig(JSON.stringify(json), 'config.json')).toThrow(said);
});

it('the files of a model without added tokens say nothing of them', async () => {
  const [plain, settings] = await tokenizerFolderFiles(wordModel());
  expect(JSON.parse(plain!.content).added_tokens).toHaveLength(4);
  expect(settings!.content).not.toContain('added_tokens');
  expect(modelConfigFile(wordModel()).content).not.toContain('added_tokens');
});
