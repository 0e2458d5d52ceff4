import type { z } from 'zod';
import { type Matrix, rowCount, takeRows } from '../numbers/matrix.ts';
import { nearestOf, productError } from '../numbers/nearest.ts';
import { neededOf, placesOfRight } from '../numbers/places.ts';
import { accuracy, hitsOf } from './accuracy.ts';
import { byLanguage } from './by-language.ts';
import type { Evaluator, EvaluatorInput, Figures, Found } from './contract.ts';
import { firstCaptions, labelled, numberByName } from './labels.ts';
import type { zeroShotSettings } from './settings.ts';

type Settings = z.infer<typeof zeroShotSettings>;

/**
 * Classification by texts: the class of a picture is the one whose embedding is nearest (CLIP; big_vision
 * `evaluators/proj/image_text/discriminative_classifier.py`). With several labels any of them is right, as in ImageNet-ReaL.
 * The classes are those that the task names; where it names none, every concept of the data, called by the first caption of
 * the first example that has one, in each language.
 */
export const zeroShot: Evaluator<Settings> = {
  needs: (named) => (named ? { classes: true } : { captions: true }),
  protocol: () => ({ ties: 'against the model', labels: 'any of several is right' }),
  async evaluate(input, { top }) {
    const { classes, test, languages } = input;
    if (classes) return among(input, classes.rows, numberByName(classes.names), top, '');
    const found: [string, Found][] = [];
    for (const language of languages) {
      const { rows, numbers } = await conceptsOf(test, language);
      const path = `by_language.${language}.`;
      found.push([language, await among(input, rows, (concept) => numbers.get(concept), top, path)]);
    }
    return byLanguage(found);
  },
};

async function among(
  { test, view, device, pause }: EvaluatorInput,
  classes: Matrix,
  numberOf: (concept: string) => number | undefined,
  top: readonly number[],
  path: string,
): Promise<Found> {
  const { labels, notes } = labelled(test.concepts, numberOf);
  const images = await test.unit(view);
  const most = Math.max(...top);
  const k = neededOf(most, Math.max(0, ...labels.map(({ length }) => length)));
  const nearest = rowCount(classes) > 0 ? await nearestOf(images, classes, k, pause) : noneOf;
  const error = productError(images.width, device);
  const places = await placesOfRight(images, classes, (i) => labels[i]!, { nearest, error, most }, pause);
  const figures: Figures = accuracy({ places, labels, classes: rowCount(classes) }, top);
  return { figures, notes, outcomes: hitsOf(places, top, path) };
}

const noneOf = { k: 0, scores: new Float32Array(), places: new Int32Array() };

/** Each concept with its text in a language, numbered as they appear. */
export async function conceptsOf(test: EvaluatorInput['test'], language: string) {
  const captions = await test.captions(language);
  const { concepts } = test;
  const { numbers, rows } = firstCaptions(captions.of, (picture) => concepts[picture]!);
  return { rows: takeRows(captions, rows), numbers };
}
