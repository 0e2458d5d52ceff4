import { readFile } from 'node:fs/promises';
import { tokenizerFiles } from '../../data/example/tokenizer.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import { type FolderFile, processorClass } from './config.ts';

const specialTokens = { pad_token: '<pad>', eos_token: '<eos>', bos_token: '<bos>', unk_token: '<unk>' };

/**
 * The tokenizer of SigLIP 2 for `AutoTokenizer`: Gemma's vocabulary and merges as they are, lower-casing before
 * them (transformers `Siglip2Tokenizer`), no <bos>, and an <eos> that truncation keeps. With padding="max_length"
 * the ids are those of training.
 */
export async function tokenizerFolderFiles(model: ModelConfig): Promise<FolderFile[]> {
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
  };
  return [
    { path: 'tokenizer.json', content: await tokenizerJson() },
    { path: 'tokenizer_config.json', content: `${JSON.stringify(config, null, 2)}\n` },
    { path: 'special_tokens_map.json', content: `${JSON.stringify(specialTokens, null, 2)}\n` },
  ];
}

/**
 * Gemma's file with our normaliser and end. Vocabulary and merges go through as they are written: read and written again as
 * objects they would take most of the time of exporting a small model.
 */
async function tokenizerJson(): Promise<string> {
  const gemma = withoutSpace(await readFile(tokenizerFiles().tokenizer)).toString('utf8');
  const large = gemma.indexOf('"vocab":{');
  const head = JSON.parse(`${gemma.slice(0, large)}"":0}}`) as Readonly<Record<string, unknown>>;
  const ours = {
    ...head,
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, head.normalizer] },
    post_processor: endOfText,
  };
  return JSON.stringify(ours).slice(0, -'"":0}}'.length) + digitsFirst(gemma.slice(large));
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
