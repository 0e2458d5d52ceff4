import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { decodeGreedy } from '../../src/model/decode-greedy.ts';
import { decoder } from '../../src/model/decoder.ts';
import { decoderSpecs } from '../../src/model/decoder-parameters.ts';
import { initialise } from '../../src/model/initialise.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { tinySettings } from '../train/settings.ts';

const model = {
  ...tinySettings.model,
  text: { width: 12, depth: 2, mlp: 20, heads: 3, length: 9, vocabulary: 15 },
};
const size = { depth: 2 };
const [batch, keys] = [4, 6];
const random = randomStream(8, 'greedy');
const p: Record<string, Tensor> = Object.fromEntries(
  decoderSpecs(model, size).map((spec) => [
    spec.name,
    tf.tensor(
      initialise(1, spec).map((x) => x + 0.6 * random.normal()),
      [...spec.shape],
    ),
  ]),
);
const encoded = tf.tensor2d(
  Array.from({ length: batch * keys * model.vision.width }, () => random.normal()),
  [batch * keys, model.vision.width],
);
const seen = [1, 1, 1, 1, 0, 0];
const mask = tf.tensor(Array.from({ length: batch }, () => seen.map((one) => (one ? 0 : -1e9))).flat(), [
  batch,
  1,
  1,
  keys,
]);

/** The same without anything kept: the whole decoder, as in training, once more for each place. */
function slowly(given: readonly (readonly number[])[], end: number, hides?: Tensor): number[][] {
  const { length } = model.text;
  return given.map((own, i) => {
    const part = encoded.slice([i * keys, 0], [keys, model.vision.width]);
    const memory = { encoded: part, mask: hides?.slice([i, 0, 0, 0], [1, 1, 1, keys]) };
    const said: number[] = [];
    while (said.length < length && said.at(-1) !== end) {
      const target = tf.tensor2d([...said, ...new Array(length - said.length).fill(0)], [1, length], 'int32');
      const hidden = decoder(p, model, size, target, tf.tensor1d([0], 'int32'), memory, 1);
      const logits = tf.matMul(hidden, p['decoder.lm_head.weight']!, false, true).add(p['decoder.lm_head.bias']!);
      const row = [...logits.slice([said.length, 0], [1, model.text.vocabulary]).dataSync()];
      said.push(own[said.length] ?? row.indexOf(Math.max(...row)));
    }
    return said;
  });
}

describe('greedy decoding', () => {
  it.each([
    ['from nothing', [[], [], [], []]],
    ['from prefixes of several lengths', [[3, 4], [5], [], [2, 2, 2]]],
  ])('says token for token what the decoder says without keeping keys, %s', (_, given) => {
    // An id that none of them says in the first places ends none of them.
    const never = decodeGreedy(p, model, size, { encoded }, given, -1);
    expect(never).toEqual(slowly(given, -1));
    expect(never.every((said) => said.length === model.text.length)).toBe(true);
    expect(new Set(never.map(String)).size).toBe(batch);
    // What some of them say ends those, and not the others.
    const end = never[0]![4]!;
    const ended = decodeGreedy(p, model, size, { encoded }, given, end);
    expect(ended).toEqual(slowly(given, end));
    expect(ended[0]!.at(-1)).toBe(end);
  });

  it('does not look at padding of images, and leaves no tensors behind', () => {
    const given = [[], [], [], []];
    const before = tf.memory().numTensors;
    const said = decodeGreedy(p, model, size, { encoded, mask }, given, -1);
    expect(tf.memory().numTensors).toBe(before);
    expect(said).toEqual(slowly(given, -1, mask));
    expect(said).not.toEqual(decodeGreedy(p, model, size, { encoded }, given, -1));
  });
});
