import { captionFigures } from './caption-figures.ts';
import type { Evaluator, Figures, Found } from './contract.ts';
import { saidOf } from './said-of.ts';

/**
 * Captions by the decoder that was trained with the model: it is given `Cap:` and says one caption, which is held against all
 * captions of the picture in a language, as COCO's evaluation does.
 */
export const captioning: Evaluator<Readonly<Record<never, never>>> = {
  needs: () => ({ truth: true, texts: true, said: ['captioning'] }),
  protocol: () => ({
    decoder: 'trained with the model, greedy, Cap:',
    captions: 'pycocoevalcap against all captions of a picture',
  }),
  async evaluate(input) {
    const said = saidOf(input).map(({ captioning }) => captioning!);
    return captionsByLanguage(input, said);
  },
};

/** One caption of each picture against those that it has, by language. */
export async function captionsByLanguage(
  { test, languages, pause }: Pick<Parameters<Evaluator<unknown>['evaluate']>[0], 'test' | 'languages' | 'pause'>,
  said: readonly string[],
): Promise<Found> {
  const { examples } = test;
  const byLanguage: Record<string, Figures> = {};
  const notes: string[] = [];
  let outcomes: Found['outcomes'] = {};
  for (const language of languages) {
    const all = examples.map(({ shard, name, texts }, picture) => ({
      ...{ picture, name: `${shard} ${name}`, answer: said[picture]! },
      references: texts?.[language] ?? [],
    }));
    const counted = all.filter(({ references }) => references.length > 0);
    const silent = all.length - counted.length;
    if (silent > 0) notes.push(`${silent} of ${all.length} pictures have no caption in ${language}: left out`);
    const found = await captionFigures(counted, pause);
    byLanguage[language] = { pictures: counted.length, left_out: silent, ...found.figures };
    const paths = Object.entries(found.outcomes).map(([name, one]) => [`by_language.${language}.${name}`, one]);
    outcomes = { ...outcomes, ...Object.fromEntries(paths) };
  }
  return { figures: { by_language: byLanguage }, notes, outcomes };
}
