import { answer } from '../../runtime/answer.ts';
import { loadTokenizer } from '../example/tokenizer.ts';
import type { AskedTexts } from './texts.ts';

/** The thread of `textsInThread`. */
answer<null, AskedTexts, Int32Array>(
  () => {
    const tokenizer = loadTokenizer();
    return ({ texts, length }) => tokenizer.tokenize(texts, length);
  },
  (tokens) => [tokens],
);
