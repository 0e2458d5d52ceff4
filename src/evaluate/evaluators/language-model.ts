import type { z } from 'zod';
import { loadTokenizer } from '../../data/example/tokenizer.ts';
import { figuresOf } from '../../metrics/figure.ts';
import { rightness, vqa } from '../../metrics/vqa.ts';
import { givenFor } from '../decoder/asking.ts';
import { answersFromFeatures } from '../decoder/asking-features.ts';
import { learnedNotes } from '../decoder/learned-file.ts';
import { givenQuestion, type Lesson } from '../decoder/lesson.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import { captionsByLanguage } from './captioning.ts';
import type { Evaluator, Found } from './contract.ts';
import { lessonText } from './referring-probe.ts';
import type { languageModelSettings } from './settings.ts';

type Settings = z.infer<typeof languageModelSettings>;

/**
 * The features as what a language model sees (arXiv 2502.14786, 3.2): one fresh text decoder learns captions and answers to
 * questions from them, and they stay as they are. In the paper that is Gemma 2 with 2 billion parameters after 50 million
 * examples, so its figures are others; models compare by these.
 */
export const languageModel: Evaluator<Settings> = {
  needs: () => ({ train: true, patches: true, truth: true, texts: true }),
  protocol: (settings, seed) => ({
    decoder: `${lessonText(settings)}, seed ${seed}, greedy`,
    captions: 'pycocoevalcap against all captions of a picture',
    answers: 'vqaEval.py of VQA; learned is the usual answer',
  }),
  lesson: (settings, { languages, seed }): Lesson => ({ of: 'texts', ...settings, languages, seed }),
  async evaluate(input, { depth }) {
    const said = await answersFromFeatures(input, depth, ({ truth }) => [
      givenFor('captioning'),
      ...(truth?.questions ?? []).map(({ question }) => givenQuestion(question)),
    ]);
    const captions = await captionsByLanguage(
      input,
      said.map(([caption]) => caption!),
    );
    const answers = answerFigures(
      input.test,
      said.map(([, ...own]) => own),
    );
    return {
      figures: { ...captions.figures, ...answers.figures },
      notes: [
        ...(await learnedNotes(input.learned!, input.test.config.text.length)),
        ...captions.notes,
        ...answers.notes,
        ...questionsWithoutRoom(input.test, input.test.config.text.length),
      ],
      outcomes: { ...captions.outcomes, ...answers.outcomes },
    };
  },
};

/** What is said of questions that fill a text: nothing can be answered to them, and they count as wrong. */
export function questionsWithoutRoom({ examples }: Pick<FeatureSet, 'examples'>, length: number): string[] {
  const tokenizer = loadTokenizer();
  const all = examples.flatMap(({ truth }) => truth?.questions ?? []);
  const cut = all.filter(({ question }) => tokenizer.ids(givenQuestion(question), length).length >= length);
  return cut.length > 0
    ? [`${cut.length} of ${all.length} questions leave no room for an answer in the ${length} tokens of a text`]
    : [];
}

/** @param said of each picture what was answered, in the order of its questions */
export function answerFigures({ examples }: Pick<FeatureSet, 'examples'>, said: readonly (readonly string[])[]): Found {
  const answered = examples.flatMap(({ shard, name, truth }, picture) =>
    (truth?.questions ?? []).map(({ answers }, i) => ({
      ...{ picture, name: `${shard} ${name}`, answer: said[picture]![i]!, answers },
    })),
  );
  const notes = answered.length === 0 ? ['no picture has questions: captions alone were said'] : [];
  if (answered.length === 0) return { figures: {}, notes, outcomes: {} };
  const right = answered.map(rightness);
  const told = figuresOf(vqa(), answered).map(({ name, value }) => [name, value!] as const);
  const outcome = (of: 'vqa' | 'exact') => {
    const counted = [...right.keys()].filter((i) => right[i]![of] !== null);
    return {
      values: Float32Array.from(counted, (i) => right[i]![of]!),
      pictures: Int32Array.from(counted, (i) => answered[i]!.picture),
    };
  };
  return {
    figures: { answers: { questions: answered.length, ...Object.fromEntries(told) } },
    notes,
    outcomes: Object.fromEntries(told.map(([name]) => [`answers.${name}`, outcome(name as 'vqa' | 'exact')])),
  };
}
