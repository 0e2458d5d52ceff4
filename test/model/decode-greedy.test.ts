import type { Tensor } from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSpeaker, type Speaker } from '../../src/model/decode-greedy.ts';
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
/** Patches that are no padding. */
const seen = [6, 4, 5, 1];
const mask = tf.tensor(
  seen.flatMap((own) => Array.from({ length: keys }, (_, i) => (i < own ? 0 : -1e9))),
  [batch, 1, 1, keys],
);
const values = Object.fromEntries(Object.entries(p).map(([name, tensor]) => [name, tensor.dataSync() as Float32Array]));
const pictures = { encoded: encoded.dataSync() as Float32Array };

let speaker: Speaker;
beforeAll(() => {
  // Batches of three, so that the last one is not full.
  speaker = openSpeaker(values, model, size, { batch: 3, patches: keys });
});
afterAll(() => speaker.dispose());

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
  const say = (given: readonly (readonly number[])[], end: number, of = pictures as { seen?: number[] }) =>
    speaker.say(
      { ...pictures, ...of },
      given.map((own, picture) => ({ picture, given: own })),
      end,
    );

  it.each([
    ['from nothing', [[], [], [], []]],
    ['from prefixes of several lengths', [[3, 4], [5], [], [2, 2, 2]]],
  ])('says token for token what the decoder says without keeping keys, %s', async (_, given) => {
    // An id that none of them says in the first places ends none of them.
    const never = await say(given, -1);
    expect(never).toEqual(slowly(given, -1));
    expect(never.every((said) => said.length === model.text.length)).toBe(true);
    expect(new Set(never.map(String)).size).toBe(batch);
    // What some of them say ends those, and not the others.
    const end = never[0]![4]!;
    const ended = await say(given, end);
    expect(ended).toEqual(slowly(given, end));
    expect(ended[0]!.at(-1)).toBe(end);
  });

  it('does not look at padding of images, nor at what a batch before had', async () => {
    const given = [[], [], [], []];
    const said = await say(given, -1, { seen });
    expect(said).toEqual(slowly(given, -1, mask));
    expect(said).not.toEqual(await say(given, -1));
    expect(await say(given, -1, { seen })).toEqual(said);
  });

  it('says several texts of one picture, each as if it were alone, and lets others get their turn', async () => {
    const asked = [3, 1, 3].map((picture, i) => ({ picture, given: [i + 2] }));
    let turns = 0;
    const said = await speaker.say(pictures, asked, -1, async () => {
      turns++;
    });
    for (const [i, one] of asked.entries()) expect(await speaker.say(pictures, [one], -1)).toEqual([said[i]]);
    expect(turns).toBe(model.text.length);
  });
});
