import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { gatherRows } from '../../src/compile/ops/gather-rows.ts';
import { geluTanh } from '../../src/compile/ops/gelu.ts';
import { layerNorm } from '../../src/compile/ops/layer-norm.ts';
import { pulled } from '../../src/compile/ops/pulled.ts';
import { repeatRows } from '../../src/compile/ops/repeat-rows.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const normals = (count: number, purpose: string) => {
  const random = randomStream(7, purpose);
  return Float32Array.from({ length: count }, () => random.normal());
};

/** Largest relative difference between closed-form gradients and those of TF.js's own autodiff. */
function gradientGap(fast: (...x: Tensor[]) => Tensor, plain: (...x: Tensor[]) => Tensor, inputs: Tensor[]): number {
  const dy = tf.tensor(normals(fast(...inputs).size, 'dy'), fast(...inputs).shape);
  const [a, b] = [fast, plain].map((f) => tf.grads(f as never)(inputs as never, dy as never) as Tensor[]);
  return Math.max(
    ...a!.map((gradient, i) => {
      const [x, y] = [gradient.dataSync(), b![i]!.dataSync()];
      const scale = Math.max(...y.map(Math.abs));
      return Math.max(...x.map((value, k) => Math.abs(value - y[k]!))) / scale;
    }),
  );
}

describe('ops with closed-form gradients', () => {
  it('layer norm has the values and the gradients of its definition', () => {
    const plain = (...[x, w, b]: Tensor[]) => {
      const { mean, variance } = tf.moments(x!, -1, true);
      return x!.sub(mean).div(variance.add(1e-6).sqrt()).mul(w!).add(b!) as Tensor;
    };
    const fast = (...[x, w, b]: Tensor[]) => layerNorm(x!, w!, b!, 1e-6);
    const inputs = [tf.tensor2d(normals(40, 'x'), [5, 8]), tf.tensor1d(normals(8, 'w')), tf.tensor1d(normals(8, 'b'))];
    const difference = fast(...inputs)
      .sub(plain(...inputs))
      .abs()
      .max()
      .dataSync()[0]!;
    expect(difference).toBeLessThan(2e-6);
    expect(gradientGap(fast, plain, inputs)).toBeLessThan(2e-6);
  });

  it('tanh GELU has the values and the gradients of its definition, also far out', () => {
    const plain = (...[x]: Tensor[]) =>
      x!
        .add(x!.pow(3).mul(0.044715))
        .mul(Math.sqrt(2 / Math.PI))
        .tanh()
        .add(1)
        .mul(x!)
        .mul(0.5) as Tensor;
    const x = tf.tensor1d([...normals(64, 'gelu'), -12, -3, 0, 3, 12]);
    expect(geluTanh(x).sub(plain(x)).abs().max().dataSync()[0]!).toBeLessThan(2e-6);
    expect(gradientGap((...a) => geluTanh(a[0]!), plain, [x])).toBeLessThan(2e-6);
    // torch.nn.functional.gelu(torch.tensor([-1., 0.5, 2.]), approximate='tanh')
    expect([...geluTanh(tf.tensor1d([-1, 0.5, 2])).dataSync()]).toEqual(
      [-0.1588080078, 0.3457140326, 1.9545976877].map((value) => expect.closeTo(value, 6)),
    );
  });

  it('gathered rows send their gradient back to the rows they came from, repeated ids added up', () => {
    const table = tf.tensor2d(normals(12, 'table'), [4, 3]);
    const ids = tf.tensor1d([2, 0, 2], 'int32');
    const gradient = tf
      .grad((t) => gatherRows(t, ids).sum())(table)
      .arraySync() as number[][];
    expect(gradient).toEqual([
      [1, 1, 1],
      [0, 0, 0],
      [2, 2, 2],
      [0, 0, 0],
    ]);
  });

  it('a repeated row has the gradients of all its copies together, as those of tf.tile', () => {
    const x = [tf.tensor(normals(6, 'row'), [1, 2, 1, 3])];
    const plain = (...[row]: Tensor[]) => tf.tile(row!, [9, 1, 1, 1]) as Tensor;
    const fast = (...[row]: Tensor[]) => repeatRows(row!, 9);
    expect([...fast(...x).dataSync()]).toEqual([...plain(...x).dataSync()]);
    expect(gradientGap(fast, plain, x)).toBeLessThan(2e-6);
  });

  it('what is pulled has the gradient that it was given', () => {
    const [x, d] = [tf.tensor1d([1, -2, 3]), tf.tensor1d([0.5, 0.25, -1])];
    expect(pulled(x, d).dataSync()[0]).toBe(-3);
    expect([
      ...tf
        .grad((x) => pulled(x, d).mul(2))(x)
        .dataSync(),
    ]).toEqual([1, 0.5, -2]);
  });
});
