import { answer } from '../../runtime/answer.ts';
import { tokenizerOf } from '../example/compacted.ts';
import type { TokenSettings } from './texts.ts';

/** The thread of `textsInThread`. */
answer<TokenSettings, readonly string[], Int32Array>(
  ({ vocabulary, length }) => {
    const tokenizer = tokenizerOf(vocabulary);
    return (texts) => tokenizer.tokenize(texts, length);
  },
  (tokens) => [tokens],
);
