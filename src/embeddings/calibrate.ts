import { joinedRows, type Matrix, unitRows } from '../evaluate/numbers/matrix.ts';
import type { Pause } from '../evaluate/numbers/pause.ts';
import { eachProduct } from '../evaluate/numbers/products.ts';
import { PairHistogram } from '../metrics/calibration.ts';
import { fitLogit, type PrecisionThreshold, pairLoss, thresholdOfPrecision } from '../metrics/pair-fit.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Embeddings } from './manifest.ts';
import { blocksOf, keysOf, type RowKey } from './rows.ts';

/** Scale and bias that a model's pairs have, and the mean sigmoid loss by them. */
export interface Head {
  readonly logitScale: number;
  readonly logitBias: number;
  readonly loss: number;
}

/** What pairs that a model was not trained on say of its sureness. */
export interface Calibration {
  readonly version: 1;
  readonly embeddings: string;
  readonly model: { readonly name: string; readonly sha256: string };
  readonly data: Embeddings['data'];
  readonly images: number;
  readonly texts: number;
  readonly pairs: { readonly right: number; readonly wrong: number };
  /** Of pairs that are right, as they were weighed. */
  readonly share: number;
  readonly before: Head;
  readonly after: Head;
  readonly thresholds: readonly (PrecisionThreshold & {
    readonly wanted: number;
    /** What the model says of a pair at the threshold, by the scale and bias that were fitted. */
    readonly probability: number;
  })[];
  /** Precisions that no cosine has. */
  readonly without: readonly number[];
}

/** Pictures and texts whose pairs are all looked at: 4 TFLOP at width 768, 300 MB of rows. */
const mostRows = 50_000;

/**
 * Refits scale and bias of a model on all pairs of pictures and texts of embeddings, and finds the cosine from which on pairs have
 * a precision. Pairs are counted in 65,536 bins of cosine: 0.00002 of one at most is lost by it. A text that another picture has
 * too counts as wrong for that. RecipeInvalid where nothing can be fitted.
 *
 * @param share of the pairs that are right where the model is used; null: as among these
 */
export async function calibrate(
  store: ObjectStore,
  embeddings: Embeddings,
  {
    precisions,
    share,
    pause,
    onCompared,
  }: {
    readonly precisions: readonly number[];
    readonly share: number | null;
    readonly pause: Pause;
    /** Told how many pairs a block had, before the pause after it. */
    readonly onCompared?: (pairs: number) => void;
  },
): Promise<Calibration> {
  const { name, model, data } = embeddings;
  const fail = (problem: string) => new RunnerError('RecipeInvalid', `embeddings ${name} can't calibrate: ${problem}`);
  if (embeddings.tensors.images === null || Object.keys(embeddings.texts).length === 0)
    throw fail('they have no pairs; embed images and texts');
  const texts = Object.values(embeddings.texts).reduce((sum, count) => sum + count, 0);
  const most = Math.max(embeddings.examples, texts);
  if (most > mostRows)
    throw fail(`they have ${most} rows, and all pairs of ${mostRows} are allowed; embed a smaller part of the data`);
  const [pictures, captions] = [
    await gathered(store, embeddings, 'images'),
    await gathered(store, embeddings, 'texts'),
  ];
  const numbers = new Map(pictures.keys.map((key, i) => [keyOf(key), i]));
  const of = Int32Array.from(captions.keys, (key) => numbers.get(keyOf(key)) ?? -1);
  const histogram = new PairHistogram(bins);
  await eachProduct(
    pictures.matrix,
    captions.matrix,
    (products, { i, j, n, m }) => {
      for (let at = 0; at < n * m; at++) histogram.add(products[at]!, of[j + (at % m)] === i + Math.floor(at / m));
      onCompared?.(n * m);
    },
    pause,
  );
  // A bin stands for its middle.
  const pairs = histogram.pairs().map((pair) => ({ ...pair, score: pair.score + 1 / bins }));
  const right = pairs.reduce((sum, one) => sum + one.right, 0);
  const wrong = pairs.reduce((sum, one) => sum + one.wrong, 0);
  const weight = share === null ? 1 : (right * (1 - share)) / (share * wrong);
  const fitted = fitLogit(pairs, weight);
  if (!fitted)
    throw fail(
      'their cosines tell every right pair from every wrong one, or there is none of a kind: more data are needed',
    );
  if (!(fitted.scale > 0))
    throw fail('right pairs have no higher cosines than wrong ones: the model has not learned them');
  const found = precisions.map((wanted) => ({ wanted, found: thresholdOfPrecision(pairs, wanted, weight) }));
  const before = model.head;
  return {
    ...{ version: 1, embeddings: name, model: { name: model.name, sha256: model.checkpoint.sha256 }, data },
    ...{ images: pictures.keys.length, texts: captions.keys.length, pairs: { right, wrong } },
    share: share ?? right / (right + wrong),
    before: { ...before, loss: pairLoss(pairs, Math.exp(before.logitScale), before.logitBias, weight) },
    after: { logitScale: Math.log(fitted.scale), logitBias: fitted.bias, loss: fitted.loss },
    thresholds: found.flatMap(({ wanted, found }) =>
      found
        ? { wanted, ...found, probability: 1 / (1 + Math.exp(-(fitted.scale * found.threshold + fitted.bias))) }
        : [],
    ),
    without: found.flatMap(({ wanted, found }) => (found ? [] : wanted)),
  };
}

const bins = 65_536;

const keyOf = ({ shard, name }: RowKey) => JSON.stringify([shard, name]);

async function gathered(store: ObjectStore, embeddings: Embeddings, kind: 'images' | 'texts') {
  const keys: RowKey[] = [];
  const blocks: Float32Array[] = [];
  for await (const block of blocksOf(store, embeddings, kind)) {
    const unit = unitRows(block);
    blocks.push(unit.rows);
    for (const key of keysOf(block)) keys.push(key);
  }
  const matrix: Matrix = { width: embeddings.width, rows: joinedRows(blocks) };
  return { keys, matrix };
}
