import { bleu, type Captioned } from '../../metrics/bleu.ts';
import { captionWords } from '../../metrics/caption-words.ts';
import { Cider } from '../../metrics/cider.ts';
import { figuresOf } from '../../metrics/figure.ts';
import { rougeL } from '../../metrics/rouge.ts';
import type { Pause } from '../ranks.ts';
import type { Found } from './contract.ts';

/** A text that was said, and what people say there. */
export interface SaidText {
  /** Number of the picture. */
  readonly picture: number;
  readonly name: string;
  readonly answer: string;
  readonly references: readonly string[];
}

const atOnce = 256;

/**
 * `CIDEr` from 0 to 10, `BLEU-1` to `BLEU-4` and `ROUGE-L` as pycocoevalcap has them, and `exact`: the words of a reference,
 * no more and no fewer. Texts without references are to be left out before. Nothing where there are none.
 */
export async function captionFigures(
  said: readonly SaidText[],
  pause: Pause,
): Promise<Pick<Found, 'figures' | 'outcomes'>> {
  if (said.length === 0) return { figures: {}, outcomes: {} };
  const captioned: Captioned[] = [];
  const cider = new Cider();
  for (const [i, { name, answer, references }] of said.entries()) {
    const one = { name, words: captionWords(answer), references: references.map(captionWords) };
    captioned.push(one);
    cider.add(one);
    if (i % atOnce === 0) await pause();
  }
  const exact = Float32Array.from(captioned, ({ words, references }) => {
    const own = words.join(' ');
    return references.some((one) => one.join(' ') === own) ? 1 : 0;
  });
  const told = [...cider.figures(), ...figuresOf(bleu(), captioned), ...figuresOf(rougeL(), captioned)];
  const pictures = Int32Array.from(said, ({ picture }) => picture);
  return {
    figures: {
      ...Object.fromEntries(told.flatMap(({ name, value }) => (value === null ? [] : [[name, value]]))),
      exact: exact.reduce((sum, one) => sum + one, 0) / exact.length,
    },
    outcomes: {
      CIDEr: { values: Float32Array.from(cider.values()), pictures },
      exact: { values: exact, pictures },
    },
  };
}
