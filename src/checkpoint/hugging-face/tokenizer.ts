import { readFile } from 'node:fs/promises';
import { tokenizerFiles } from '../../data/example/tokenizer.ts';
import { fullVocabulary, type ModelConfig } from '../../model/sizes.ts';
import { type FolderFile, processorClass } from './config.ts';

const specialTokens = { pad_token: '<pad>', eos_token: '<eos>', bos_token: '<bos>', unk_token: '<unk>' };

/**
 * The tokenizer of SigLIP 2 for `AutoTokenizer`: Gemma's vocabulary and merges as they are, lower-casing before
 * them (transformers `Siglip2Tokenizer`), no <bos>, and an <eos> that truncation keeps. With padding="max_length"
 * the ids are those of training.
 * Tokens that were added to the model are as `add_tokens` of transformers adds them: found in what is lower-cased, wherever
 * they stand, with the ids after Gemma's.
 */
export async function tokenizerFolderFiles(model: ModelConfig): Promise<FolderFile[]> {
  const added = (model.text.addedTokens ?? []).map(addedToken);
  const config = {
    // The general class takes tokenizer.json as it is, in every version of transformers.
    tokenizer_class: 'PreTrainedTokenizerFast',
    processor_class: processorClass(model),
    ...specialTokens,
    model_max_length: model.text.length,
    model_input_names: ['input_ids'],
    padding_side: 'right',
    truncation_side: 'right',
    clean_up_tokenization_spaces: false,
    ...(added.length > 0 && { added_tokens_decoder: byId([...(await gemmaTokens()), ...added]) }),
  };
  return [
    { path: 'tokenizer.json', content: await tokenizerJson(added) },
    { path: 'tokenizer_config.json', content: `${JSON.stringify(config, null, 2)}\n` },
    { path: 'special_tokens_map.json', content: `${JSON.stringify(specialTokens, null, 2)}\n` },
  ];
}

interface AddedToken {
  readonly id: number;
}

const addedToken = (content: string, i: number) => ({
  id: fullVocabulary + i,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: true,
  special: false,
});

const byId = (tokens: readonly AddedToken[]) => Object.fromEntries(tokens.map(({ id, ...token }) => [id, token]));

/** Those that Gemma's file itself lists. */
async function gemmaTokens(): Promise<readonly AddedToken[]> {
  return (await gemmaHead()).head.added_tokens;
}

/**
 * Gemma's file with our normaliser and end. Vocabulary and merges go through as they are written: read and written again as
 * objects they would take most of the time of exporting a small model.
 */
async function tokenizerJson(added: readonly AddedToken[]): Promise<string> {
  const { head, rest } = await gemmaHead();
  const ours = {
    ...head,
    added_tokens: [...head.added_tokens, ...added],
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, head.normalizer] },
    post_processor: endOfText,
  };
  return JSON.stringify(ours).slice(0, -'"":0}}'.length) + digitsFirst(rest);
}

async function gemmaHead() {
  const gemma = withoutSpace(await readFile(tokenizerFiles().tokenizer)).toString('utf8');
  const large = gemma.indexOf('"vocab":{');
  const head = JSON.parse(`${gemma.slice(0, large)}"":0}}`) as Readonly<Record<string, unknown>> & {
    readonly added_tokens: readonly AddedToken[];
  };
  return { head, rest: gemma.slice(large) };
}

/** As an object of JavaScript has its fields, which exports were written from: their bytes stay what they were. */
function digitsFirst(vocabulary: string): string {
  const digits: string[] = [];
  const others = vocabulary.replaceAll(/(?<=[{,])"\d":\d+,/g, (field) => {
    digits.push(field);
    return '';
  });
  return others.replace('{', () => `{${digits.sort().join('')}`);
}

const [space, quote, backslash] = [0x20, 0x22, 0x5c];

/** JSON without the white space between its parts. */
function withoutSpace(json: Buffer): Buffer {
  const kept = Buffer.allocUnsafe(json.length);
  let [size, within] = [0, false];
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]!;
    if (!within && byte <= space) continue;
    kept[size++] = byte;
    if (byte === quote) within = !within;
    else if (byte === backslash) kept[size++] = json[++i]!;
  }
  return kept.subarray(0, size);
}

const eos = (type_id: number) => ({ SpecialToken: { id: '<eos>', type_id } });
const text = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
const endOfText = {
  type: 'TemplateProcessing',
  single: [text('A', 0), eos(0)],
  pair: [text('A', 0), eos(0), text('B', 1), eos(1)],
  special_tokens: { '<eos>': { id: '<eos>', ids: [1], tokens: ['<eos>'] } },
};
