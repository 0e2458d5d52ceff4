import type { HardNegatives } from '../../recipe/batch-plan.ts';
import { filled } from '../../recipe/reading.ts';
import { permutation, randomStream } from '../../runtime/random.ts';
import { negativesIn } from '../example/negatives.ts';
import type { BatchPart } from './batch-part.ts';

/** Texts that are wrong for an image, by what its data say: see `objectives/hard-negatives.ts` for the arrays. */
export const hardNegativesPart: BatchPart<HardNegatives> = {
  arrays: ({ texts }, { textLength }) => ({
    negativeTokens: { dtype: 'int32', size: texts * textLength },
    negativeWeights: { dtype: 'float32', size: texts },
  }),
  /** Each text once, and those that are also right for the image never. */
  fill({ k, meta, language, template, tokenizer }, { texts }, { seed, phase, textLength }, out) {
    const all = negativesIn(meta, language);
    const order = permutation(all.length, randomStream(seed, `hardNegatives/${phase}`, k));
    const drawn = Array.from(order.subarray(0, texts), (i) =>
      template === undefined ? all[i]! : filled(template, all[i]!),
    );
    out.negativeTokens!.set(tokenizer.tokenize(drawn, textLength));
    out.negativeWeights!.fill(1, 0, drawn.length);
  },
};
