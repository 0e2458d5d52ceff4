import { join } from 'node:path';
import type { TokenizerRules } from '../../data/example/tokenizer.ts';
import { fullVocabulary, type ModelConfig } from '../../model/sizes.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { isRecord } from '../../runtime/json-text.ts';
import { isFile, readJsonFile } from './folder-json.ts';

interface AddedToken {
  readonly content: string;
  readonly id: number;
  readonly normalized: boolean;
  readonly single_word?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
}

/** As `tokenizerFolderFiles` writes it. */
const isAsAdded = ({ id, normalized, single_word, lstrip, rstrip }: AddedToken, i: number) =>
  id === fullVocabulary + i && normalized && !single_word && !lstrip && !rstrip;

/** Some of Gemma's tokens: a tokenizer that has them so is taken as Gemma's. */
const gemma = {
  ...{ '<pad>': 0, '<eos>': 1, '<bos>': 2, '<unk>': 3 },
  ...{ '▁a': 476, '▁of': 576, '▁photo': 2686, '▁cat': 4401, cat: 4991, a: 235250, '.': 235265 },
};

/**
 * How a folder's own tokenizer reads texts: whether it lower-cases them, and its special tokens. As transformers 5 has it,
 * where the class decides: a Siglip2Tokenizer, which every siglip2 folder gets, lower-cases, a general one does what
 * tokenizer.json says. `do_lower_case: true` is taken at its word, though a GemmaTokenizer passes over it. RecipeInvalid,
 * naming the field, for another vocabulary, padding or end. Without files it is SigLIP 2's.
 */
export async function readTokenizer(folder: string, config: ModelConfig): Promise<TokenizerRules> {
  const [settingsFile, file] = [join(folder, 'tokenizer_config.json'), join(folder, 'tokenizer.json')];
  const settings = (await isFile(settingsFile)) ? await readJsonFile(settingsFile) : null;
  const definition = (await isFile(file)) ? await readJsonFile(file) : null;
  const refuse = (of: string, problem: string) => new RunnerError('RecipeInvalid', `${of}: ${problem}`);
  const shown = (value: unknown) => (JSON.stringify(value) ?? 'missing').slice(0, 80);
  const naflex = config.vision.kind === 'naflex';
  const name = String(settings?.tokenizer_class ?? '').replace(/Fast$/, '');
  if (!['', 'PreTrainedTokenizer', 'TokenizersBackend', 'GemmaTokenizer', 'Siglip2Tokenizer'].includes(name))
    throw refuse(
      settingsFile,
      `tokenizer_class is ${shown(settings!.tokenizer_class)}; allowed: Siglip2Tokenizer, GemmaTokenizer, PreTrainedTokenizerFast`,
    );
  if (settings !== null) {
    const { model_max_length: most, do_lower_case: lowers } = settings;
    const padsLeft = naflex || name === 'GemmaTokenizer' || name === 'Siglip2Tokenizer';
    const padding = settings.padding_side ?? (padsLeft ? 'left' : 'right');
    if (padding !== 'right')
      throw refuse(settingsFile, `padding_side is ${shown(padding)}; "right" is allowed, as the model was trained`);
    if ((settings.truncation_side ?? 'right') !== 'right')
      throw refuse(settingsFile, `truncation_side is ${shown(settings.truncation_side)}; allowed: "right"`);
    if (typeof most === 'number' && most < config.text.length)
      throw refuse(
        settingsFile,
        `model_max_length is ${most}, and texts of this model have ${config.text.length} tokens, which is allowed`,
      );
    if (typeof (lowers ?? true) !== 'boolean')
      throw refuse(settingsFile, `do_lower_case is ${shown(lowers)}; allowed: true, false`);
  }
  const ownClass = naflex || name === 'Siglip2Tokenizer' || settings?.do_lower_case === true;
  const { addedTokens = [] } = config.text;
  const own = addedTokens.length > 0 && { added: addedTokens };
  if (definition === null) return { lowerCase: ownClass || name !== 'GemmaTokenizer', ...own };
  const { vocab } = (definition.model ?? {}) as { vocab?: Readonly<Record<string, unknown>> };
  const other = Object.entries(gemma).find(([token, id]) => vocab?.[token] !== id);
  if (other !== undefined)
    throw refuse(file, `token ${shown(other[0])} is ${shown(vocab?.[other[0]])}; the vocabulary of Gemma is allowed`);
  const ends = JSON.stringify((definition.post_processor as { single?: unknown } | null)?.single ?? null);
  if (ends !== JSON.stringify([{ Sequence: { id: 'A', type_id: 0 } }, { SpecialToken: { id: '<eos>', type_id: 0 } }]))
    throw refuse(file, `post_processor makes ${ends.slice(0, 120)} of a text; the text and then <eos> is allowed`);
  const added = (definition.added_tokens ?? []) as readonly AddedToken[];
  const isToken = (one: unknown) =>
    isRecord(one) &&
    typeof one.content === 'string' &&
    Number.isSafeInteger(one.id) &&
    typeof one.normalized === 'boolean';
  if (!Array.isArray(added) || !added.every(isToken))
    throw refuse(file, 'added_tokens is no list of tokens, each with its content, id and normalized, which is allowed');
  const beyond = added.filter(({ id }) => id >= fullVocabulary).sort((a, b) => a.id - b.id);
  if (JSON.stringify(beyond.map(({ content }) => content)) !== JSON.stringify(addedTokens))
    throw refuse(
      file,
      `added_tokens has ${shown(beyond.map(({ content }) => content))} after Gemma's; the text_config.added_tokens of config.json are allowed, ${shown(addedTokens)}`,
    );
  const odd = beyond.find((one, i) => !isAsAdded(one, i));
  if (odd) throw refuse(file, `${shown(odd)} is allowed as add_tokens of transformers adds it, with the next id`);
  return {
    lowerCase:
      ownClass || (name !== 'GemmaTokenizer' && JSON.stringify(definition.normalizer ?? null).includes('"Lowercase"')),
    ...own,
    special: Object.fromEntries(added.filter(({ normalized }) => !normalized).map(({ content, id }) => [content, id])),
  };
}
