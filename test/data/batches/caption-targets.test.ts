import { expect, test } from 'vitest';
import { captionTargetsPart } from '../../../src/data/batches/caption-targets.ts';
import { captionTaskWords } from '../../../src/data/example/caption-texts.ts';
import { loadTokenizer, unknownId } from '../../../src/data/example/tokenizer.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';

const length = 24;
const plan = { seed: 1, phase: 'pretrain', textLength: length } as BatchPlan;
const image = { width: 10, height: 10 };
const meta = { key: 'x', captions: {}, concept: 'x', regions: [{ caption: 'a dog', box: [0, 0, 0.25, 1] as const }] };

function filled(k: number, parallel: number, lossOn: 'both' | 'second', regions: typeof meta.regions = meta.regions) {
  const out = {
    targets: new Int32Array(3 * length),
    targetWeights: new Float32Array(3 * length),
    parallel: new Int32Array(3),
  };
  const example = {
    k,
    ref: { shard: 0, example: k },
    meta: { ...meta, regions },
    pixels: { ...image, data: new Uint8Array() },
    crop: { x: 0, y: 0, ...image },
    text: 'two dogs',
    language: 'en',
    plain: true,
    tokenizer: loadTokenizer(),
    scores: null,
  };
  void captionTargetsPart.fill(example, { parallel, lossOn }, plan, out);
  const row = (values: Int32Array | Float32Array, i: number) => [...values.subarray(i * length, (i + 1) * length)];
  return { out, ids: (i: number) => row(out.targets, i), weights: (i: number) => row(out.targetWeights, i) };
}

test('each text is its ids, an end and padding, and counts from its first word that is not given, one in all', () => {
  const tokenizer = loadTokenizer();
  const texts = ['Cap: two dogs', 'ARef : a dog : 0 0 125 500', 'GCap: 0 0 125 500 : a dog'];
  const given = { both: ['Cap:', 'ARef :', 'GCap:'], second: ['Cap:', 'ARef : a dog :', 'GCap: 0 0 125 500 :'] };
  for (const lossOn of ['both', 'second'] as const) {
    const { ids, weights } = filled(3, 0, lossOn);
    for (const [i, text] of texts.entries()) {
      const expected = [...tokenizer.tokenize([text], length)];
      expect(ids(i)).toEqual(expected);
      const end = expected.indexOf(1);
      const first = tokenizer.ids(given[lossOn][i]!).length;
      expect(weights(i)).toEqual(
        expected.map((_, place) => (place < first || place > end ? 0 : expect.closeTo(1 / (end + 1 - first), 6))),
      );
    }
  }
});

test('without a region two of the texts are empty and count for nothing', () => {
  const { ids, weights } = filled(3, 0, 'both', []);
  for (const i of [1, 2]) expect([...ids(i), ...weights(i)].every((x) => x === 0)).toBe(true);
  expect(weights(0).some((x) => x > 0)).toBe(true);
});

test('a region whose box does not fit behind its description is left out, and one that just fits is whole', () => {
  const described = (words: number) => [{ caption: Array(words).fill('dog').join(' '), box: meta.regions[0]!.box }];
  // "ARef : " is three tokens, " : 0 0 125 500" twelve, the end one.
  const most = length - loadTokenizer().ids('ARef : dog : 0 0 125 500').length;
  const { ids: whole } = filled(3, 0, 'both', described(most));
  expect(whole(1)).toEqual([
    ...loadTokenizer().tokenize([`ARef : ${Array(most).fill('dog').join(' ')} : 0 0 125 500`], length),
  ]);
  expect(whole(1).at(-1)).toBe(1);
  const { ids, weights } = filled(3, 0, 'both', described(most + 1));
  for (const i of [1, 2]) expect([...ids(i), ...weights(i)].every((x) => x === 0)).toBe(true);
});

test('the caption alone is predicted all at once, as often as is asked, the same each time', () => {
  const flags = Array.from({ length: 1000 }, (_, k) => [...filled(k, 0.5, 'both').out.parallel]);
  expect(flags.every(([, referring, grounded]) => referring === 0 && grounded === 0)).toBe(true);
  // Three deviations of a thousand tosses are 47.
  expect(Math.abs(flags.filter(([caption]) => caption === 1).length - 500)).toBeLessThan(47);
  expect(filled(7, 0.5, 'both').out).toEqual(filled(7, 0.5, 'both').out);
});

test('the words of the tasks hold the tokens of every box', () => {
  const tokenizer = loadTokenizer();
  const known = new Set(captionTaskWords().flatMap((text) => tokenizer.ids(text)));
  for (const text of ['ARef : 0 17 499 500 : 3 40 500 1', 'GCap: 250 1 2 3 :']) {
    for (const id of tokenizer.ids(text)) expect(known.has(id) && id !== unknownId, `${text}: ${id}`).toBe(true);
  }
});
