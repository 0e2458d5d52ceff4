import type { z } from 'zod';
import { calibration as calibrationMetric, PairHistogram } from '../../metrics/calibration.ts';
import { figuresOf } from '../../metrics/figure.ts';
import { RunnerError } from '../../runtime/errors.ts';
import type { ModelHead } from '../features/part-file.ts';
import { type Matrix, rowCount } from '../numbers/matrix.ts';
import { placeOf } from '../numbers/places.ts';
import { eachProduct } from '../numbers/products.ts';
import { byLanguage } from './by-language.ts';
import type { Evaluator, EvaluatorInput, Figures, Found } from './contract.ts';
import { labelled, numberByName } from './labels.ts';
import type { calibrationSettings } from './settings.ts';
import { conceptsOf, zeroShot } from './zero-shot.ts';

type Settings = z.infer<typeof calibrationSettings>;

/**
 * Whether a model is as sure as it is right. Over `classes`: how far its confidence in the best class is from the share that is
 * right (`ece`, torchmetrics), by a softmax over the classes and by the sigmoid of the pair alone, which the model was trained
 * by. Over `pairs` of all pictures and captions: the cosine from which on a pair is more likely right than wrong, and the
 * probability that the model itself gives such a pair. One in n pairs of n pictures is right, so it depends on their number.
 */
export const calibration: Evaluator<Settings> = {
  needs: (named, { over }) => ({
    ...(over === 'pairs' ? { captions: true } : zeroShot.needs(named, { top: [] })),
    head: true,
  }),
  protocol: ({ over, bins }) => ({
    over,
    ...(over === 'pairs' ? {} : { ties: 'against the model', bins: `${bins} of equal width, [low, high)` }),
    products: 'single precision',
  }),
  async evaluate(input, { over, bins }) {
    const { classes, languages, test } = input;
    const { head } = test;
    if (!head) throw new RunnerError('DataContract', 'the features do not say the scale and bias of the model');
    if (over === 'classes' && classes)
      return sureness(input, classes.rows, numberByName(classes.names), { head, bins, path: '' });
    const found: [string, Found][] = [];
    for (const language of languages) {
      if (over === 'pairs') {
        found.push([language, await threshold(input, language, head)]);
        continue;
      }
      const { rows, numbers } = await conceptsOf(test, language);
      const how = { head, bins, path: `by_language.${language}.` };
      found.push([language, await sureness(input, rows, (concept) => numbers.get(concept), how)]);
    }
    return byLanguage(found);
  },
};

async function sureness(
  { test, view, pause }: EvaluatorInput,
  rows: Matrix,
  numberOf: (concept: string) => number | undefined,
  { head, bins, path }: { readonly head: ModelHead; readonly bins: number; readonly path: string },
): Promise<Found> {
  const { labels, leftOut, notes } = labelled(test.concepts, numberOf);
  const images = await test.unit(view);
  const counted = [...labels.keys()].filter((i) => labels[i]!.length > 0);
  const counts = { classes: rowCount(rows), examples: counted.length, left_out: leftOut };
  if (counted.length === 0) return { figures: counts, notes, outcomes: {} };
  const right = new Uint8Array(labels.length);
  const confidence = { softmax: new Float64Array(labels.length), sigmoid: new Float64Array(labels.length) };
  const scale = Math.exp(head.logitScale);
  const visit: Parameters<typeof eachProduct>[2] = (products, { i: first, n, m }) => {
    for (let row = 0; row < n; row++) {
      const [i, from] = [first + row, row * m];
      let best = Number.NEGATIVE_INFINITY;
      for (let c = from; c < from + m; c++) best = Math.max(best, products[c]!);
      let sum = 0;
      for (let c = from; c < from + m; c++) sum += Math.exp(scale * (products[c]! - best));
      confidence.softmax[i] = 1 / sum;
      confidence.sigmoid[i] = 1 / (1 + Math.exp(-(scale * best + head.logitBias)));
      right[i] = labels[i]!.length > 0 && placeOf(products, labels[i]!, from, m) === 0 ? 1 : 0;
    }
  };
  await eachProduct(images, rows, visit, pause, { whole: true });
  const pictures = Int32Array.from(counted);
  const figures: Record<string, number | Figures> = { ...counts };
  const outcomes: Record<string, Found['outcomes'][string]> = {
    [`${path}top1`]: { values: Float32Array.from(counted, (i) => right[i]!), pictures },
  };
  figures.top1 = counted.reduce((sum, i) => sum + right[i]!, 0) / counted.length;
  for (const [how, of] of Object.entries(confidence)) {
    const answers = counted.map((i) => ({ name: String(i), confidence: of[i]!, right: right[i] === 1 }));
    const own = figuresOf(calibrationMetric(bins), answers);
    figures[how] = Object.fromEntries(own.map(({ name, value }) => [name, value!]));
    const values = Float32Array.from(counted, (i) => of[i]! - right[i]!);
    outcomes[`${path}${how}.overconfidence`] = { values, pictures };
  }
  return { figures, notes, outcomes };
}

async function threshold({ test, view, pause }: EvaluatorInput, language: string, head: ModelHead): Promise<Found> {
  const [images, captions] = [await test.unit(view), await test.captions(language)];
  const pairs = new PairHistogram();
  const visit: Parameters<typeof eachProduct>[2] = (products, { i, j, n, m }) => {
    for (let at = 0; at < n * m; at++) pairs.add(products[at]!, captions.of[j + (at % m)] === i + Math.floor(at / m));
  };
  await eachProduct(images, captions, visit, pause);
  const counts = { images: rowCount(images), texts: rowCount(captions) };
  const found = Object.fromEntries(pairs.figures().map(({ name, value }) => [name, value]));
  const cosine = found.threshold ?? null;
  const probability = (at: number) => 1 / (1 + Math.exp(-(Math.exp(head.logitScale) * at + head.logitBias)));
  return {
    figures: {
      ...counts,
      ...Object.fromEntries(Object.entries(found).filter((one): one is [string, number] => one[1] !== null)),
      ...(cosine !== null && { probability_at_threshold: probability(cosine) }),
    },
    notes: cosine === null ? ['no score tells pairs that are right from others'] : [],
    outcomes: {},
  };
}
