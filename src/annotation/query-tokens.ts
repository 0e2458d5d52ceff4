import { Tokenizer } from '@huggingface/tokenizers';

/** Tokens of a query, begin and end among them: what the text towers of OWL-ViT and OWLv2 have positions for. */
export const queryLength = 16;

/** (texts, queryLength) as the processor of OWL-ViT makes it. */
export interface QueryTokens {
  readonly ids: BigInt64Array;
  readonly mask: BigInt64Array;
}

export type QueryTokenizer = (texts: readonly string[]) => QueryTokens;

/**
 * The tokenizer of a detector. Texts that are too long lose their last words, not the mark of their end, by whose
 * place the tower knows the text.
 *
 * @param tokenizer the JSON of tokenizer.json
 * @param config that of tokenizer_config.json, which names the padding; absent: id 0, as published models have it
 */
export function queryTokenizer(tokenizer: object, config: object = {}): QueryTokenizer {
  const model = new Tokenizer(tokenizer, config);
  const named = (config as { readonly pad_token?: unknown }).pad_token;
  const pad = BigInt(typeof named === 'string' ? (model.token_to_id(named) ?? 0) : 0);
  return (texts) => {
    const ids = new BigInt64Array(texts.length * queryLength).fill(pad);
    const mask = new BigInt64Array(ids.length);
    for (const [row, text] of texts.entries()) {
      const { ids: all } = model.encode(text);
      const kept = all.length <= queryLength ? all : [...all.slice(0, queryLength - 1), all.at(-1)!];
      for (const [i, id] of kept.entries()) ids[row * queryLength + i] = BigInt(id);
      mask.fill(1n, row * queryLength, row * queryLength + kept.length);
    }
    return { ids, mask };
  };
}
