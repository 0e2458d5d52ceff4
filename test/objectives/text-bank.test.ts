import { describe, expect, it } from 'vitest';
import { sigmoidLoss } from '../../src/objectives/sigmoid.ts';
import { bankLoss } from '../../src/objectives/text-bank.ts';
import { differentiate } from '../../src/optimiser/differentiate.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import { bankRows, rowsOfSlot, textBankOf } from '../../src/recipe/text-bank.ts';
import { trainedSettings } from '../../src/recipe/trained-settings.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { tinySettings } from '../train/settings.ts';

const width = 4;
const random = randomStream(9, 'text-bank');
const draw = (rows: number) => Array.from({ length: rows }, () => Array.from({ length: width }, () => random.normal()));
const unit = (row: number[]) => row.map((x) => x / Math.hypot(...row));
const head = { logit_scale: [0.4], logit_bias: [-0.9] };

/** Pair by pair in float64: of each image with each text that is there. */
function slowLoss(images: number[][], bank: number[][], replicas: number, { logit_scale, logit_bias } = head): number {
  const there = bank.filter((row) => row.some((x) => x !== 0));
  let sum = 0;
  for (const image of images)
    for (const text of there) {
      const cosine = unit(image).reduce((total, x, k) => total + x * text[k]!, 0);
      const logit = Math.exp(logit_scale[0]!) * cosine + logit_bias[0]!;
      sum += (((replicas - 1) * images.length) / there.length) * Math.log1p(Math.exp(logit));
    }
  return sum / images.length;
}

const at = (images: number[][]) => ({
  images: tf.tensor2d(images),
  logit_scale: tf.tensor1d(head.logit_scale),
  logit_bias: tf.tensor1d(head.logit_bias),
});
const after = tf.scalar(0);

function found(images: number[][], bank: number[][], replicas: number, side: number) {
  const of = at(images);
  const { value, gradients } = differentiate(Object.keys(of), of, (p) => ({
    value: bankLoss(p, p.images!, tf.tensor2d(bank), { replicas, side, after }),
    aside: {},
  }));
  const numbers = Object.fromEntries(Object.entries(gradients).map(([name, of]) => [name, [...of!.dataSync()]]));
  return { loss: value.dataSync()[0]!, gradients: numbers };
}

describe('what images lose to a bank of texts', () => {
  const images = draw(6);
  // Of a slot that has left none there are zeros.
  const bank = draw(9).map((row, i) => (i === 2 || i === 8 ? row.map(() => 0) : unit(row)));

  it.each([9, 4, 1])('has in tiles of %i the loss and the gradients of a loop over pairs', (side) => {
    const { loss, gradients } = found(images, bank, 3, side);
    expect(loss).toBeCloseTo(slowLoss(images, bank, 3), 4);
    const step = 1e-5;
    const slope = (of: (by: number) => number) => (of(step) - of(-step)) / (2 * step);
    for (const i of images.keys())
      for (let k = 0; k < width; k++) {
        const moved = (by: number) => images.map((row, j) => row.map((x, l) => (i === j && k === l ? x + by : x)));
        const expected = slope((by) => slowLoss(moved(by), bank, 3));
        expect(gradients.images![i * width + k], `image ${i}, ${k}`).toBeCloseTo(expected, 4);
      }
    for (const name of ['logit_scale', 'logit_bias'] as const) {
      const expected = slope((by) => slowLoss(images, bank, 3, { ...head, [name]: [head[name][0]! + by] }));
      expect(gradients[name]![0], name).toBeCloseTo(expected, 3);
    }
  });

  it('is nothing where the bank is empty, and so are its gradients', () => {
    const empty = bank.map((row) => row.map(() => 0));
    const { loss, gradients } = found(images, empty, 3, 4);
    expect(loss).toBe(0);
    for (const values of Object.values(gradients)) for (const value of values) expect(Math.abs(value)).toBe(0);
  });
});

it('where a bank has the texts of the other replicas of the same batch, the mean over replicas is the loss of that batch, and its gradient to images, temperature and bias', () => {
  const [replicas, batch] = [3, 5];
  const [images, texts] = [draw(replicas * batch), draw(replicas * batch)];
  const pairs = (p: Record<string, unknown>, of: number[][]) =>
    sigmoidLoss(p as never, (p as { images: never }).images, tf.tensor2d(of));
  const of = at(images);
  const whole = differentiate(Object.keys(of), of, (p) => ({ value: pairs(p, texts), aside: {} }));
  let loss = 0;
  const heads = { logit_scale: 0, logit_bias: 0 };
  const ofImages: number[] = [];
  for (let slot = 0; slot < replicas; slot++) {
    const [from, to] = [slot * batch, (slot + 1) * batch];
    const bank = texts.map((row, i) => (i >= from && i < to ? row.map(() => 0) : unit(row)));
    const own = at(images.slice(from, to));
    const { value, gradients } = differentiate(Object.keys(own), own, (p) => {
      const local = pairs(p, texts.slice(from, to));
      const others = bankLoss(p, p.images!, tf.tensor2d(bank), { replicas, side: 4, after: local });
      return { value: local.add(others), aside: {} };
    });
    loss += value.dataSync()[0]! / replicas;
    for (const name of ['logit_scale', 'logit_bias'] as const)
      heads[name] += gradients[name]!.dataSync()[0]! / replicas;
    ofImages.push(...[...gradients.images!.dataSync()].map((x) => x / replicas));
  }
  expect(loss).toBeCloseTo(whole.value.dataSync()[0]!, 4);
  for (const name of ['logit_scale', 'logit_bias'] as const)
    expect(heads[name]).toBeCloseTo(whole.gradients[name]!.dataSync()[0]!, 4);
  const expected = whole.gradients.images!.dataSync();
  for (const [i, x] of ofImages.entries()) expect(x, `image number ${i}`).toBeCloseTo(expected[i]!, 5);
});

it('every row of a bank is of one slot, whatever the number of replicas, and no slot leaves more than it saw', () => {
  for (const replicas of [2, 3, 7, 64, 1000]) {
    const bank = textBankOf(replicas, 5000);
    const owned = Array.from({ length: replicas }, (_, slot) => rowsOfSlot(bank, slot));
    expect(owned.map(({ first }) => first)).toEqual([0, ...owned.slice(0, -1).map(({ end }) => end)]);
    expect(owned.at(-1)!.end).toBe(bankRows);
    for (const { first, end } of owned) expect(end - first).toBeGreaterThanOrEqual(bank.rows);
  }
  expect(textBankOf(4, 5000).rows).toBe(1024);
  expect(textBankOf(4, 96).rows).toBe(96);
});

it('a trainer has a bank where the recipe says so, of the examples of a lane, and with one replica all is local', () => {
  const trained = (of: object) =>
    trainedSettings({ ...tinySettings, replicas: replicasSchema.parse({ number: 4, steps: 5, ...of }) });
  expect(trained({ negatives: 'bank' }).objectives.sigmoid).toEqual({ weight: 1, bank: { replicas: 4, rows: 30 } });
  expect(trained({ negatives: 'bank', number: 1 })).toEqual(tinySettings);
});
