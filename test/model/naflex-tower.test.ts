import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { initialise } from '../../src/model/initialise.ts';
import { naflexTower, normalisePatches, positionWeights } from '../../src/model/naflex-tower.ts';
import { parameterCount, parameterSpecs } from '../../src/model/parameters.ts';
import { fullVocabulary, type ModelConfig, towerSizes } from '../../src/model/sizes.ts';
import { visionTower } from '../../src/model/vision-tower.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const fixed: ModelConfig = {
  vision: { width: 12, depth: 2, mlp: 20, heads: 3, patch: 2, resolution: 32 },
  text: { width: 8, depth: 1, mlp: 8, heads: 2, length: 4, vocabulary: 9 },
};
const naflex: ModelConfig = { ...fixed, vision: { ...fixed.vision, kind: 'naflex' } };
const parameters: Record<string, Tensor> = Object.fromEntries(
  parameterSpecs(naflex).map((spec) => [spec.name, tf.tensor(initialise(3, spec), [...spec.shape])]),
);
const bytes = (purpose: string, shape: number[]) => {
  const random = randomStream(0, purpose);
  return tf.tensor(
    Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => random.below(256)),
    shape,
  );
};
const gap = (a: Tensor, b: Tensor) => a.sub(b).abs().max().dataSync()[0]!;

describe('the NaFlex tower', () => {
  it('gives what the fixed tower gives for a square of the stored grid', () => {
    const images = bytes('images', [2, 32, 32, 3]).div(127.5).sub(1) as Tensor;
    const patches = images.reshape([2, 16, 2, 16, 2, 3]).transpose([0, 1, 3, 2, 4, 5]).reshape([2, 256, 12]);
    const name = 'vision_model.embeddings.patch_embedding.weight';
    const convolution = parameters[name]!.reshape([12, 2, 2, 3]).transpose([0, 3, 1, 2]);
    const expected = visionTower({ ...parameters, [name]: convolution }, fixed, images);
    const shapes = tf.tensor2d([16, 16, 16, 16], [2, 2], 'int32');
    const actual = naflexTower(parameters, naflex, patches, tf.ones([2, 256]), shapes);
    expect(gap(actual.encoded, expected.encoded)).toBeLessThan(1e-5);
    expect(gap(actual.pooled, expected.pooled)).toBeLessThan(1e-5);
  });

  it('does not see what padding holds, to the bit', () => {
    const mask = tf.tensor2d([Array.from({ length: 12 }, (_, i) => (i < 6 ? 1 : 0))]);
    const shapes = tf.tensor2d([2, 3], [1, 2], 'int32');
    const patches = normalisePatches(bytes('patches', [1, 12, 12]), mask);
    const noise = bytes('noise', [1, 12, 12]).mul(tf.scalar(1).sub(mask).reshape([1, 12, 1]));
    const [plain, noisy] = [patches, patches.add(noise) as Tensor].map((input) =>
      naflexTower(parameters, naflex, input, mask, shapes),
    );
    expect(noisy!.pooled.dataSync()).toEqual(plain!.pooled.dataSync());
    expect(noisy!.encoded.slice(0, 6).dataSync()).toEqual(plain!.encoded.slice(0, 6).dataSync());
  });

  it('sees the same in an image whatever length it is padded to', () => {
    const patches = bytes('patches', [1, 6, 12]).div(255) as Tensor;
    const shapes = tf.tensor2d([3, 2], [1, 2], 'int32');
    const pooled = [0, 5, 26].map((padding) => {
      const mask = tf.ones([1, 6]).pad([
        [0, 0],
        [0, padding],
      ]);
      return naflexTower(
        parameters,
        naflex,
        patches.pad([
          [0, 0],
          [0, padding],
          [0, 0],
        ]),
        mask,
        shapes,
      ).pooled;
    });
    for (const other of pooled.slice(1)) expect(gap(pooled[0]!, other)).toBeLessThan(1e-6);
  });

  it('has the gradients of finite differences, also for the positions', () => {
    const mask = tf.tensor2d([
      [1, 1, 1, 1, 1, 1, 0, 0],
      [1, 1, 1, 1, 0, 0, 0, 0],
    ]);
    const shapes = tf.tensor2d([3, 2, 1, 4], [2, 2], 'int32');
    const patches = normalisePatches(bytes('patches', [2, 8, 12]), mask);
    for (const name of [
      'vision_model.embeddings.position_embedding.weight',
      'vision_model.embeddings.patch_embedding.weight',
      'vision_model.encoder.layers.0.self_attn.k_proj.weight',
      'vision_model.head.attention.in_proj_weight',
    ]) {
      const loss = (value: Tensor) =>
        naflexTower({ ...parameters, [name]: value }, naflex, patches, mask, shapes)
          .pooled.square()
          .sum();
      const gradient = tf.grad(loss)(parameters[name]!);
      // Along the gradient, where the difference stands out most from rounding.
      const step = 2e-2 / gradient.norm().dataSync()[0]!;
      const at = (t: number) => loss(parameters[name]!.add(gradient.mul(t * step))).dataSync()[0]!;
      const slope = (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step);
      expect(slope / gradient.square().sum().dataSync()[0]!, name).toBeCloseTo(1, 2);
    }
  });

  it('is not taken for the fixed tower', () => {
    expect(() => visionTower(parameters, naflex, tf.zeros([1, 32, 32, 3]))).toThrow('use naflexTower');
  });

  it('finds row and column of every patch up to 64 on a side, where a float quotient could round', () => {
    for (const side of [1, 3, 7, 41, 49, 64]) {
      const length = side * 16;
      const shapes = tf.tensor2d([16, side], [1, 2], 'int32');
      const weights = positionWeights(tf.ones([1, length]), shapes, 16).reshape([16, side, 16, 16]);
      // 16 rows from 16: each patch takes from the stored row of its own number alone.
      const ofRow = weights.sum(3).mean(1);
      expect(gap(ofRow, tf.eye(16)), `${side} columns`).toBeLessThan(1e-6);
    }
  });

  it('has as many parameters as the fixed one at 256 px, and a linear patch embedding', () => {
    const sizes = { text: { ...towerSizes.B, length: 64, vocabulary: fullVocabulary } };
    const config: ModelConfig = { vision: { ...towerSizes.B, patch: 16, resolution: 256, kind: 'naflex' }, ...sizes };
    expect(parameterCount(config)).toBe(375_234_050);
    const shapes = Object.fromEntries(parameterSpecs(config).map(({ name, shape }) => [name, shape]));
    expect(shapes['vision_model.embeddings.patch_embedding.weight']).toEqual([768, 768]);
    expect(shapes['vision_model.embeddings.position_embedding.weight']).toEqual([256, 768]);
  });
});
