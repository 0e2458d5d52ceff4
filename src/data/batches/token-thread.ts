import { answer } from '../../runtime/answer.ts';
import { loadTokenizer, rulesOf } from '../example/tokenizer.ts';
import type { AskedTexts } from './texts.ts';

/** The thread of `textsInThread`. */
answer<null, AskedTexts, Int32Array>(
  () => {
    // Loaded now, so that the first batch need not wait for it.
    loadTokenizer();
    return ({ texts, length, addedTokens }) =>
      loadTokenizer(rulesOf({ text: { addedTokens } })).tokenize(texts, length);
  },
  (tokens) => [tokens],
);
