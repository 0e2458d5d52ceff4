import type { Tensor } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { l2Normalise } from '../../src/compile/ops/l2-normalise.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import { textTower } from '../../src/model/text-tower.ts';
import { visionTower } from '../../src/model/vision-tower.ts';
import { sigmoidLoss } from '../../src/objectives/sigmoid.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { distance, loadReference, type Reference } from './reference.ts';

/** Numbers of transformers' SiglipModel and of torch's autograd in double precision: see make_fixtures.py. */
let reference: Reference;
let names: string[];
let parameters: Record<string, Tensor>;
let images: Tensor;
let tokens: Tensor;

beforeAll(async () => {
  reference = await loadReference();
  const { vision, text } = reference.model;
  names = parameterSpecs(reference.model).map(({ name }) => name);
  parameters = Object.fromEntries(
    names.map((name) => {
      const stored = `parameters/${name}`;
      return [name, tf.tensor(reference.floats(stored), reference.shape(stored) as number[])];
    }),
  );
  const pixels = reference.batch * vision.resolution ** 2 * 3;
  const bytes = tf.tensor(
    Float32Array.from(reference.images.subarray(0, pixels)),
    [reference.batch, vision.resolution, vision.resolution, 3],
    'float32',
  );
  images = bytes.div(127.5).sub(1);
  tokens = tf.tensor2d(
    reference.tokens.slice(0, reference.batch * text.length),
    [reference.batch, text.length],
    'int32',
  );
});

const apart = (actual: Tensor, stored: string) => distance(actual.dataSync(), reference.floats(stored));

describe('the towers against transformers', () => {
  it('have the same parameters, by name and shape, and decay the same ones', () => {
    const specs = parameterSpecs(reference.model);
    for (const { name, shape } of specs) expect(reference.shape(`parameters/${name}`), name).toEqual(shape);
    expect(specs.filter(({ decay }) => decay).map(({ name }) => name)).toEqual(
      expect.arrayContaining([...reference.kernels]),
    );
    expect(specs.filter(({ decay }) => decay)).toHaveLength(reference.kernels.length);
  });

  it('see the same in images, patch by patch and pooled', () => {
    const { encoded, pooled } = visionTower(parameters, reference.model, images);
    expect(apart(encoded, 'image/encoded')).toBeLessThan(2e-6);
    expect(apart(pooled, 'image/pooled')).toBeLessThan(2e-6);
    expect(apart(l2Normalise(pooled), 'image/embedded')).toBeLessThan(2e-6);
  });

  it('read the same in texts, token by token and pooled', () => {
    const { encoded, pooled } = textTower(parameters, reference.model, tokens);
    expect(apart(encoded, 'text/encoded')).toBeLessThan(2e-6);
    expect(apart(pooled, 'text/pooled')).toBeLessThan(2e-6);
    expect(apart(l2Normalise(pooled), 'text/embedded')).toBeLessThan(2e-6);
  });

  it('give the same logits', () => {
    const image = l2Normalise(visionTower(parameters, reference.model, images).pooled);
    const text = l2Normalise(textTower(parameters, reference.model, tokens).pooled);
    const cosines = tf.matMul(image, text, false, true);
    const logits = cosines.mul(parameters.logit_scale!.exp()).add(parameters.logit_bias!);
    expect(apart(logits, 'logits')).toBeLessThan(2e-6);
  });
});

describe('the sigmoid loss against transformers and torch', () => {
  it('has the same value, and the same gradient for every parameter', () => {
    const loss = (...values: Tensor[]) => {
      const p = Object.fromEntries(names.map((name, i) => [name, values[i]!]));
      return sigmoidLoss(
        p,
        visionTower(p, reference.model, images).pooled,
        textTower(p, reference.model, tokens).pooled,
      );
    };
    const { value, grads } = tf.valueAndGrads(loss as never)(names.map((name) => parameters[name]!) as never);
    expect(value.dataSync()[0]).toBeCloseTo(reference.losses[0]!, 5);
    const largest = Math.max(...names.map((name) => Math.max(...reference.floats(`gradients/${name}`).map(Math.abs))));
    for (const [i, name] of names.entries()) {
      const expected = reference.floats(`gradients/${name}`);
      const actual = (grads as Tensor[])[i]!.dataSync();
      if (name.endsWith('k_proj.bias')) {
        // Softmax does not see a shift of all scores: zero, but for rounding.
        expect(Math.max(...expected.map(Math.abs)), name).toBeLessThan(1e-12 * largest);
        expect(Math.max(...actual.map(Math.abs)), name).toBeLessThan(1e-6 * largest);
      } else expect(distance(actual, expected), name).toBeLessThan(2e-5);
    }
  });
});
