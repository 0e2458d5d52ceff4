import { beforeAll, describe, expect, it } from 'vitest';
import { bilinearMatrix, resampleParameters, resizePatchEmbedding, resizePositions } from '../../src/model/resample.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { distance, type Fixture, openFixture } from '../parity/reference.ts';

/** What SciPy, torch and NumPy say: fixtures/make_resample.py. */
let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture(new URL('fixtures/resample.safetensors', import.meta.url));
});

const normals = (count: number, purpose: string) => {
  const random = randomStream(0, purpose);
  return Float32Array.from({ length: count }, () => random.normal());
};
/** The embedding of a patch that is 1 everywhere. */
const ofConstant = (weight: Float32Array) => weight.reduce((a, b) => a + b, 0);

describe('position embeddings', () => {
  it.each([
    ['bilinear', 'torch'],
    ['antialias', 'torch with antialias'],
    ['align-corners', 'scipy.ndimage.zoom, as in big_vision'],
  ] as const)('are resized %s as by %s, to smaller and larger grids', (kernel, _) => {
    for (const size of [7, 14, 24]) {
      const resized = resizePositions(fixture.floats('positions'), 16, size, kernel);
      expect(distance(resized, fixture.floats(`positions/${kernel}/${size}`)), `to ${size}`).toBeLessThan(1e-6);
    }
  });

  it.each(['bilinear', 'antialias', 'align-corners'] as const)('stay what they are on the same grid (%s)', (kernel) => {
    expect(resizePositions(fixture.floats('positions'), 16, 16, kernel)).toEqual(fixture.floats('positions'));
  });

  it('are resized by matrices whose rows add up to 1, also to and from a single place', () => {
    for (const kernel of ['bilinear', 'antialias', 'align-corners'] as const) {
      for (const [from, to] of [
        [1, 5],
        [5, 1],
        [16, 3],
        [3, 16],
      ] as const) {
        const matrix = bilinearMatrix(from, to, kernel);
        for (let i = 0; i < to; i++) {
          const sum = matrix.subarray(i * from, (i + 1) * from).reduce((a, b) => a + b);
          expect(sum, `${kernel} ${from} to ${to}`).toBeCloseTo(1, 12);
        }
      }
    }
  });
});

describe('the patch embedding', () => {
  it.each([14, 32])('is PI-resized from 16 to %i pixels as by numpy.linalg.pinv', (size) => {
    const resized = resizePatchEmbedding(fixture.floats('weight'), 16, size, 'first');
    expect(distance(resized, fixture.floats(`weight/${size}`))).toBeLessThan(1e-6);
  });

  it('stays what it is at the same size', () => {
    const resized = resizePatchEmbedding(fixture.floats('weight'), 16, 16, 'first');
    expect(distance(resized, fixture.floats('weight'))).toBeLessThan(1e-6);
  });

  it('gives an enlarged patch the embedding that the patch had', () => {
    const weight = normals(16 * 16, 'weight');
    const larger = resizePatchEmbedding(weight, 16, 32, 'first');
    const patch = tf.tensor3d(normals(16 * 16, 'patch'), [16, 16, 1]);
    const enlarged = tf.image.resizeBilinear(patch, [32, 32], false, true).dataSync();
    const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);
    expect(dot(larger, enlarged)).toBeCloseTo(dot(weight, patch.dataSync()), 3);
  });

  it.each([8, 14, 32])('keeps the embedding of a constant patch, resized to %i pixels', (size) => {
    const weight = normals(16 * 16, 'weight');
    expect(ofConstant(resizePatchEmbedding(weight, 16, size, 'first'))).toBeCloseTo(ofConstant(weight), 3);
  });

  it('is the same map whether channels come first or last', () => {
    const first = resizePatchEmbedding(fixture.floats('weight'), 16, 14, 'first');
    const { length } = fixture.floats('weight');
    const lastOf = (values: Float32Array, size: number) =>
      values.map((_, i) => values[(i % 3) * size ** 2 + Math.floor(i / 3)]!);
    expect(length).toBe(3 * 256);
    expect(resizePatchEmbedding(lastOf(fixture.floats('weight'), 16), 16, 14, 'last')).toEqual(lastOf(first, 14));
  });
});

describe('a model that goes on at another resolution', () => {
  const vision = { width: 2, depth: 1, mlp: 4, heads: 1, patch: 16, resolution: 256 };
  const text = { width: 2, depth: 1, mlp: 4, heads: 1, length: 4, vocabulary: 9 };
  const config = (changes: Partial<ModelConfig['vision']>): ModelConfig => ({
    vision: { ...vision, ...changes },
    text,
  });
  const patch = 'vision_model.embeddings.patch_embedding.weight';
  const position = 'vision_model.embeddings.position_embedding.weight';
  const stored: Record<string, Float32Array> = { [patch]: normals(2 * 768, 'p'), [position]: normals(512, 'q') };
  const values = (name: string) => stored[name]!.slice();

  it('changes nothing where nothing changes', () => {
    expect(resampleParameters(values, config({}), config({}))).toEqual({});
  });

  it('gets positions for 384 px, and for patches of 14 px the patch embedding alone', () => {
    expect(resampleParameters(values, config({}), config({ resolution: 384 }))).toEqual({
      [position]: resizePositions(values(position), 16, 24),
    });
    expect(resampleParameters(values, config({}), config({ patch: 14, resolution: 224 }))).toEqual({
      [patch]: resizePatchEmbedding(values(patch), 16, 14, 'first'),
    });
  });

  it('becomes a NaFlex model by turning its convolution into a linear map of (row, column, channel), and back', () => {
    const naflex = resampleParameters(values, config({}), config({ kind: 'naflex' }));
    expect(Object.keys(naflex)).toEqual([patch]);
    const turned = tf.tensor(values(patch), [2, 3, 16, 16]).transpose([0, 2, 3, 1]).dataSync();
    expect(naflex[patch]).toEqual(turned);
    const back = resampleParameters((name) => naflex[name] ?? values(name), config({ kind: 'naflex' }), config({}));
    expect(back[patch]).toEqual(stored[patch]);
  });

  it('refuses towers of other sizes, and says which number is not the same', () => {
    expect(() => resampleParameters(values, config({}), config({ depth: 3 }))).toThrow(
      'model.vision.depth is 3, but the model to start from has 1',
    );
  });
});
