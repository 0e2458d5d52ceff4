import { readFile } from 'node:fs/promises';
import { tokenizerFiles } from '../../data/example/tokenizer.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import { type FolderFile, processorClass } from './config.ts';

interface TokenizerJson {
  normalizer: unknown;
  post_processor: unknown;
  [part: string]: unknown;
}

const specialTokens = { pad_token: '<pad>', eos_token: '<eos>', bos_token: '<bos>', unk_token: '<unk>' };

/**
 * The tokenizer of SigLIP 2 for `AutoTokenizer`: Gemma's vocabulary and merges as they are, lower-casing before
 * them (transformers `Siglip2Tokenizer`), no <bos>, and an <eos> that truncation keeps. With padding="max_length"
 * the ids are those of training.
 */
export async function tokenizerFolderFiles(model: ModelConfig): Promise<FolderFile[]> {
  const gemma = JSON.parse(await readFile(tokenizerFiles().tokenizer, 'utf8')) as TokenizerJson;
  const tokenizer = {
    ...gemma,
    normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, gemma.normalizer] },
    post_processor: endOfText,
  };
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
    { path: 'tokenizer.json', content: JSON.stringify(tokenizer) },
    { path: 'tokenizer_config.json', content: `${JSON.stringify(config, null, 2)}\n` },
    { path: 'special_tokens_map.json', content: `${JSON.stringify(specialTokens, null, 2)}\n` },
  ];
}

const eos = (type_id: number) => ({ SpecialToken: { id: '<eos>', type_id } });
const text = (id: string, type_id: number) => ({ Sequence: { id, type_id } });
const endOfText = {
  type: 'TemplateProcessing',
  single: [text('A', 0), eos(0)],
  pair: [text('A', 0), eos(0), text('B', 1), eos(1)],
  special_tokens: { '<eos>': { id: '<eos>', ids: [1], tokens: ['<eos>'] } },
};
