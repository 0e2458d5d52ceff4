import type { z } from 'zod';
import { rowCount } from '../numbers/matrix.ts';
import { nearestBothWays, productError } from '../numbers/nearest.ts';
import { neededOf, placesOfRight, shareAmong } from '../numbers/places.ts';
import type { Evaluator, EvaluatorInput, Figures, Found, Outcome } from './contract.ts';
import type { retrievalSettings } from './settings.ts';

type Settings = z.infer<typeof retrievalSettings>;

/**
 * Retrieval in both directions over all pictures and all captions of a language: a caption is right for its own picture
 * alone, and of the captions of a picture any is right (big_vision `evaluators/proj/image_text/image_text_retrieval.py`,
 * CLIP_benchmark's `zeroshot_retrieval`). Pictures without a caption stay among those that are searched, as there. Per
 * language, and the mean over languages as XM3600 has it.
 */
export const retrieval: Evaluator<Settings> = {
  needs: () => ({ captions: true }),
  protocol: () => ({
    ties: 'against the model',
    captions: 'each is a text',
    duplicates: 'equal captions of two pictures tie',
  }),
  async evaluate(input, { top }) {
    const figures: Record<string, Figures> = {};
    const notes: string[] = [];
    let outcomes: Found['outcomes'] = {};
    for (const language of input.languages) {
      const found = await inLanguage(input, language, top);
      figures[language] = found.figures;
      notes.push(...found.notes);
      outcomes = { ...outcomes, ...found.outcomes };
    }
    const counted = Object.values(figures).filter((one) => 'image_to_text' in one);
    const mean = Object.fromEntries(
      (['image_to_text', 'text_to_image'] as const).map((direction) => [
        direction,
        Object.fromEntries(
          top.map((k) => [`r${k}`, meanOf(counted.map((one) => (one[direction] as Figures)[`r${k}`] as number))]),
        ),
      ]),
    );
    return { figures: { ...(counted.length > 0 && { mean }), by_language: figures }, notes, outcomes };
  },
};

async function inLanguage(
  { test, view, device, pause }: EvaluatorInput,
  language: string,
  top: readonly number[],
): Promise<Found> {
  const images = await test.unit(view);
  const captions = await test.captions(language);
  const [n, m] = [rowCount(images), rowCount(captions)];
  const textsOf: number[][] = Array.from({ length: n }, () => []);
  for (const [text, picture] of captions.of.entries()) textsOf[picture]!.push(text);
  const silent = textsOf.filter((own) => own.length === 0).length;
  const counts = { images: n, texts: m, left_out: silent };
  const notes =
    silent === 0 ? [] : [`${silent} of ${n} pictures have no caption in ${language}: no text is right for them`];
  if (m === 0) return { figures: counts, notes, outcomes: {} };
  const most = Math.max(...top);
  const mostTexts = textsOf.reduce((largest, { length }) => Math.max(largest, length), 0);
  const ks = { kOfA: neededOf(most, mostTexts), kOfB: neededOf(most, 1) };
  const { ofA, ofB } = await nearestBothWays(images, captions, ks, pause);
  const error = productError(images.width, device);
  const how = { error, most };
  const forward = await placesOfRight(images, captions, (i) => textsOf[i]!, { ...how, nearest: ofA }, pause);
  const one = new Int32Array(1);
  const pictureOf = (text: number) => {
    one[0] = captions.of[text]!;
    return one;
  };
  const backward = await placesOfRight(captions, images, pictureOf, { ...how, nearest: ofB }, pause);
  const recalls = (places: Int32Array, chance: number): Figures => ({
    ...Object.fromEntries(top.map((k) => [`r${k}`, shareAmong(places, k)])),
    chance_r1: chance,
  });
  return {
    figures: {
      ...counts,
      image_to_text: recalls(forward, 1 / (n - silent)),
      text_to_image: recalls(backward, 1 / n),
    },
    notes,
    outcomes: {
      ...hits(forward, Int32Array.from(forward.keys()), top, `by_language.${language}.image_to_text.`),
      ...hits(backward, captions.of, top, `by_language.${language}.text_to_image.`),
    },
  };
}

function hits(places: Int32Array, pictureOf: Int32Array, top: readonly number[], path: string): Found['outcomes'] {
  const counted = [...places.keys()].filter((i) => places[i]! >= 0);
  const pictures = Int32Array.from(counted, (i) => pictureOf[i]!);
  return Object.fromEntries(
    top.map((k): [string, Outcome] => [
      `${path}r${k}`,
      { values: Float32Array.from(counted, (i) => (places[i]! < k ? 1 : 0)), pictures },
    ]),
  );
}

const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
