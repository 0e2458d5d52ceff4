import { captionTaskWords, captionTexts, type Target } from '../../data/example/caption-texts.ts';
import { boxText } from '../../data/example/regions.ts';
import { eosId, loadTokenizer, padId, unknownId } from '../../data/example/tokenizer.ts';
import type { Question } from '../../data/example/truth.ts';
import { hashJson } from '../../runtime/hash.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { PartExample } from '../features/part-file.ts';
import type { ImageSpec } from '../features/spec.ts';
import type { View } from '../features/view.ts';

/** Raised when the same lesson makes another decoder. */
const version = 1;

/** How a fresh decoder learns from frozen features: all of it, as JSON. */
export interface Lesson {
  /** `boxes`: where an expression is. `texts`: captions, and answers to questions. */
  readonly of: 'boxes' | 'texts';
  readonly depth: number;
  readonly steps: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Share of the steps in which the rate goes up; after it a cosine. */
  readonly warmup: number;
  readonly languages: readonly string[];
  readonly seed: number;
}

/** Names the decoder that comes of a lesson on the training set at a view by this code. */
export const lessonHash = (lesson: Lesson, train: ImageSpec, view: View, codeVersion: string): string =>
  hashJson({ version, lesson, train, view, codeVersion });

/** A text that is learned, and the picture that it is of. */
export interface Learned extends Target {
  readonly part: number;
  readonly row: number;
}

export interface LearnedTexts {
  readonly texts: readonly Learned[];
  /** Sorted ids of all tokens of these texts and of boxes: the vocabulary. */
  readonly ids: readonly number[];
  /** Texts that have more tokens than there are places. */
  readonly tooLong: number;
}

/** What a question is answered after. */
export const givenQuestion = (question: string): string => `VQA: ${question} :`;

/** All texts of a training set, in its order: their number and length is that of what examples say, beside 5 kB an example of truth. */
export function learnedTexts(
  train: FeatureSet,
  lesson: Pick<Lesson, 'of' | 'languages'>,
  length: number,
): LearnedTexts {
  const tokenizer = loadTokenizer();
  const texts: Learned[] = [];
  const ids = new Set([padId, eosId, unknownId]);
  let tooLong = 0;
  for (const [part, { facts }] of train.parts.entries())
    for (const [row, example] of facts.examples.entries())
      for (const target of targetsOf(example, lesson)) {
        const own = tokenizer.ids(target.text, length);
        if (own.length >= length) tooLong++;
        else texts.push({ ...target, part, row });
        if (own.length < length) for (const id of own) ids.add(id);
      }
  if (lesson.of === 'boxes') for (const text of captionTaskWords()) for (const id of tokenizer.ids(text)) ids.add(id);
  return { texts, ids: [...ids].sort((a, b) => a - b), tooLong };
}

function targetsOf({ truth, texts }: PartExample, { of, languages }: Pick<Lesson, 'of' | 'languages'>): Target[] {
  if (of === 'boxes')
    return (truth?.regions ?? []).map(
      (region) => captionTexts('', { caption: region.caption, box: boxText(region) }, 'second').referring!,
    );
  const captions = languages.flatMap((language) => texts?.[language] ?? []);
  return [
    ...captions.map((caption) => captionTexts(caption, null, 'second').captioning!),
    ...(truth?.questions ?? []).map((one): Target => {
      const given = givenQuestion(one.question);
      return { given, text: `${given} ${usualAnswer(one)}` };
    }),
  ];
}

/** The answer that most people give, the first of equals, as VQA's `multiple_choice_answer`. */
export function usualAnswer({ answers }: Question): string {
  const counts = new Map<string, number>();
  for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best))[0];
}
