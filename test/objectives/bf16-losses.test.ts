import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { chunkedCrossEntropy } from '../../src/compile/ops/chunked-cross-entropy.ts';
import { compile } from '../../src/compile/program.ts';
import { dinoHead } from '../../src/model/dino-head.ts';
import { distillationLoss } from '../../src/objectives/distillation.ts';
import { sigmoidLoss } from '../../src/objectives/sigmoid.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

/** Numbers that bfloat16 holds exactly: what is left of an error is that of the loss. */
function halves(count: number, purpose: string, scale = 1): Float32Array {
  const random = randomStream(3, purpose);
  const values = Float32Array.from({ length: count }, () => scale * random.normal());
  const bits = new Uint32Array(values.buffer);
  for (const [i, value] of bits.entries()) bits[i] = value & 0xffff0000;
  return values;
}

/** A loss in the graph of a phase that trains in bfloat16. */
function compiled(
  inputs: Readonly<Record<string, [values: Float32Array, ...shape: number[]]>>,
  loss: (x: never) => Tensor,
) {
  const names = Object.keys(inputs);
  const feeds = Object.fromEntries(
    names.map((name) => [name, { shape: inputs[name]!.slice(1) as number[], dtype: 'float32' as const }]),
  );
  const program = compile(
    { state: {}, signatures: { loss: { feeds, run: (_, x) => ({ outputs: { loss: loss(x as never) } }) } } },
    { precision: 'bf16' },
  );
  const answer = program.run('loss', Object.fromEntries(names.map((name) => [name, inputs[name]![0]])));
  program.dispose();
  return answer.loss![0]!;
}

const rowsOf = (all: Float32Array, width: number) =>
  Array.from({ length: all.length / width }, (_, i) => [...all.subarray(i * width, (i + 1) * width)]);
const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const unit = (row: readonly number[]) => row.map((x) => x / (Math.sqrt(dot(row, row)) + 1e-8));
const logSum = (row: readonly number[]) => {
  const most = Math.max(...row);
  return most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0));
};
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

describe('in bfloat16 a loss is as exact as in float32, at the temperatures of late training', () => {
  it('the sigmoid loss at a temperature of 117', () => {
    const [count, width, temperature, bias] = [64, 32, 117, -60];
    const images = halves(count * width, 'images');
    // Texts near their pictures, as trained ones are.
    const texts = images.map((x, i) => x + 0.25 * halves(count * width, 'texts')[i]!);
    const [zs, ts] = [rowsOf(images, width).map(unit), rowsOf(texts, width).map(unit)];
    let exact = 0;
    for (const [i, z] of zs.entries())
      for (const [j, t] of ts.entries()) exact += softplus((i === j ? -1 : 1) * (temperature * dot(z, t) + bias));
    const found = compiled(
      {
        images: [images, count, width],
        texts: [texts, count, width],
        scale: [Float32Array.of(Math.log(temperature)), 1],
        bias: [Float32Array.of(bias), 1],
      },
      ({ images, texts, scale, bias }: Record<'images' | 'texts' | 'scale' | 'bias', Tensor>) =>
        sigmoidLoss({ logit_scale: scale, logit_bias: bias }, images, texts, 24),
    );
    expect(Math.abs(found - exact / count)).toBeLessThan(1e-5 * Math.max(1, exact / count));
  });

  it('the cross entropy of tokens that are sure, which is never below zero', () => {
    const [rows, width, words] = [40, 16, 50];
    const hidden = halves(rows * width, 'hidden');
    const weight = halves(words * width, 'weight', 0.1);
    const labels = Int32Array.from({ length: rows }, (_, r) => r % words);
    // Each row along the weights of its word: logits of about 12 to 24 for it, and about 0 for the others.
    for (const [r, label] of labels.entries())
      for (let d = 0; d < width; d++) weight[label * width + d]! += hidden[r * width + d]!;
    const exact = rowsOf(hidden, width).map((h, r) => {
      const logits = rowsOf(weight, width).map((w) => dot(h, w));
      return logSum(logits) - logits[labels[r]!]!;
    });
    const found = compiled(
      { hidden: [hidden, rows, width], weight: [weight, words, width] },
      ({ hidden, weight }: Record<'hidden' | 'weight', Tensor>) =>
        chunkedCrossEntropy(
          {
            hidden,
            weight,
            bias: tf.zeros([words]),
            labels: tf.tensor1d(labels, 'int32'),
            rowWeights: tf.fill([rows], 1 / rows),
          },
          16,
        ).loss,
    );
    const mean = exact.reduce((sum, x) => sum + x, 0) / rows;
    expect(found).toBeGreaterThanOrEqual(0);
    expect(Math.abs(found - mean)).toBeLessThan(2e-6);
  });

  it('self-distillation at temperatures of 0.04 and 0.1', () => {
    const [rows, bottleneck, prototypes] = [12, 24, 64];
    const settings = { hidden: 8, bottleneck, prototypes, weight: 1, centerMomentum: 0.9 };
    const [student, teacher] = [halves(rows * bottleneck, 'student'), halves(rows * bottleneck, 'teacher')];
    const weight = halves(prototypes * bottleneck, 'prototypes');
    // The last layer of a head alone: the three before it are the identity.
    const last = (x: Tensor, weight: Tensor) => {
      const eye = tf.eye(bottleneck);
      const none = tf.zeros([bottleneck]);
      // gelu(x + 40) = x + 40: what goes through two of them comes out as it went in.
      const forty = tf.fill([bottleneck], 64);
      const p = {
        'h.mlp.0.weight': eye,
        'h.mlp.0.bias': forty,
        'h.mlp.2.weight': eye,
        'h.mlp.2.bias': none,
        'h.mlp.4.weight': eye,
        'h.mlp.4.bias': tf.fill([bottleneck], -64),
        'h.last_layer.weight_v': weight,
      };
      return dinoHead(p, 'h', x);
    };
    // What the layers before it make of a number of bfloat16 beside 64 is known: multiples of a half.
    const seen = (all: Float32Array) => all.map((x) => Math.round(2 * (x + 64)) / 2 - 64);
    const cosines = (all: Float32Array) =>
      rowsOf(seen(all), bottleneck).map((x) => rowsOf(weight, bottleneck).map((w) => dot(unit(x), unit(w))));
    const targets = cosines(teacher).map((row) => row.map((x) => x / 0.04));
    const logits = cosines(student).map((row) => row.map((x) => x / 0.1));
    const exact = targets.map((t, r) => {
      const sum = logSum(t);
      return (
        logSum(logits[r]!) -
        dot(
          t.map((x) => Math.exp(x - sum)),
          logits[r]!,
        )
      );
    });
    const found = compiled(
      {
        student: [seen(student), rows, bottleneck],
        teacher: [seen(teacher), rows, bottleneck],
        weight: [weight, prototypes, bottleneck],
      },
      ({ student, teacher, weight }: Record<'student' | 'teacher' | 'weight', Tensor>) =>
        distillationLoss(last(teacher, weight), tf.zeros([prototypes]), last(student, weight), {
          ...settings,
          studentTemperature: 0.1,
          teacherTemperature: 0.04,
        }),
    );
    const mean = exact.reduce((sum, x) => sum + x, 0) / rows;
    expect(Math.abs(found - mean)).toBeLessThan(1e-5 * mean);
  });
});
