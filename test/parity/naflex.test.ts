import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { l2Normalise } from '../../src/compile/ops/l2-normalise.ts';
import { compile } from '../../src/compile/program.ts';
import { openEmbedder } from '../../src/model/embed.ts';
import { naflexTower, normalisePatches, positionWeights } from '../../src/model/naflex-tower.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { textTower } from '../../src/model/text-tower.ts';
import { sigmoidLoss } from '../../src/objectives/sigmoid.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { writeSafetensors } from '../../src/safetensors/safetensors-write.ts';
import { distance, type Fixture, openFixture } from './reference.ts';

/** Numbers of transformers' Siglip2Model and of torch's autograd in double precision: see make_naflex_fixtures.py. */
const facts = JSON.parse(readFileSync(new URL('fixtures/tiny-siglip2.json', import.meta.url), 'utf8')) as {
  model: ModelConfig;
  loss: number;
};
const { model } = facts;
const specs = parameterSpecs(model);
let fixture: Fixture;
let parameters: Record<string, Tensor>;
let mask: Tensor;
let shapes: Tensor;
let patches: Tensor;
let tokens: Tensor;

beforeAll(async () => {
  fixture = await openFixture('tiny-siglip2.safetensors');
  const shape = (name: string) => fixture.shape(name) as number[];
  parameters = Object.fromEntries(
    specs.map(({ name }) => [name, tf.tensor(fixture.floats(`parameters/${name}`), shape(`parameters/${name}`))]),
  );
  mask = tf.tensor(Float32Array.from(fixture.ints('mask')), shape('mask'));
  shapes = tf.tensor(fixture.ints('spatialShapes'), shape('spatialShapes'), 'int32');
  patches = normalisePatches(tf.tensor(Float32Array.from(fixture.bytes('patches')), shape('patches')), mask);
  tokens = tf.tensor(fixture.ints('tokens'), shape('tokens'), 'int32');
});

const apart = (actual: Tensor, stored: string) => distance(actual.dataSync(), fixture.floats(stored));
const inVision = specs.map(({ name }) => name).filter((name) => name.startsWith('vision_model.'));

/** The loss as a function of the parameters of the tower, in the order of `inVision`. */
const lossOf =
  (remat: boolean) =>
  (...values: Tensor[]) => {
    const p = { ...parameters, ...Object.fromEntries(inVision.map((name, i) => [name, values[i]!])) };
    const { pooled } = naflexTower(p, model, patches, mask, shapes, { remat });
    return sigmoidLoss(p, pooled, textTower(p, model, tokens).pooled);
  };

describe('the NaFlex tower against transformers, on five shapes in one batch', () => {
  it('has the same parameters, by name and shape', () => {
    const stored = fixture.names.filter((name) => name.startsWith('parameters/'));
    expect(specs.map(({ name }) => `parameters/${name}`).sort()).toEqual(stored.sort());
    for (const { name, shape } of specs) expect(fixture.shape(`parameters/${name}`), name).toEqual(shape);
  });

  it('gives every patch the same position, and padding that of the first patch', () => {
    const table = parameters['vision_model.embeddings.position_embedding.weight']!;
    expect(apart(tf.matMul(positionWeights(mask, shapes, 16), table), 'positions')).toBeLessThan(2e-6);
  });

  it('sees the same, patch by patch and pooled', () => {
    const { encoded, pooled } = naflexTower(parameters, model, patches, mask, shapes);
    expect(apart(encoded, 'image/encoded')).toBeLessThan(5e-6);
    expect(apart(pooled, 'image/pooled')).toBeLessThan(5e-6);
    expect(apart(l2Normalise(pooled), 'image/embedded')).toBeLessThan(5e-6);
  });

  it('gives the same logits', () => {
    const image = l2Normalise(naflexTower(parameters, model, patches, mask, shapes).pooled);
    const text = l2Normalise(textTower(parameters, model, tokens).pooled);
    const logits = tf.matMul(image, text, false, true).mul(parameters.logit_scale!.exp()).add(parameters.logit_bias!);
    expect(apart(logits, 'logits')).toBeLessThan(5e-6);
  });

  it.each([false, true])('has the same loss and gradients (blocks computed again: %s)', (remat) => {
    const { value, grads } = tf.valueAndGrads(lossOf(remat) as never)(
      inVision.map((name) => parameters[name]!) as never,
    );
    expect(value.dataSync()[0]).toBeCloseTo(facts.loss, 5);
    const largest = Math.max(...inVision.map((name) => Math.max(...fixture.floats(`gradients/${name}`).map(Math.abs))));
    for (const [i, name] of inVision.entries()) {
      const actual = (grads as Tensor[])[i]!.dataSync();
      // Softmax does not see a shift of all scores: zero, but for rounding.
      if (name.endsWith('k_proj.bias')) expect(Math.max(...actual.map(Math.abs)), name).toBeLessThan(1e-6 * largest);
      else expect(distance(actual, fixture.floats(`gradients/${name}`)), name).toBeLessThan(2e-5);
    }
  });
});

it('a stored NaFlex model embeds images of mixed shapes, in several batches, as transformers does', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-naflex-'));
  try {
    const stored = specs.map(({ name, shape }) => {
      const values = fixture.floats(`parameters/${name}`);
      return { name, shape, dtype: 'F32' as const, data: new Uint8Array(values.buffer) };
    });
    await writeSafetensors(join(folder, 'model.safetensors'), stored);
    const [count, length, size] = fixture.shape('patches') as [number, number, number];
    const ids = Array.from({ length: model.text.vocabulary }, (_, i) => i);
    const embedder = await openEmbedder(folder, model, ids, { patches: length });
    const images = Array.from({ length: 14 * count }, (_, k) => {
      const i = k % count;
      const [h, w] = fixture.ints('spatialShapes').subarray(2 * i);
      return {
        patches: fixture.bytes('patches').subarray(i * length * size, (i + 1) * length * size),
        mask: Float32Array.from(fixture.ints('mask').subarray(i * length, (i + 1) * length)),
        spatialShape: [h!, w!] as const,
      };
    });
    const rows = embedder.patches(images);
    const embedded = fixture.floats('image/embedded');
    for (let k = 0; k < 14; k++) {
      const again = rows.subarray(k * embedded.length, (k + 1) * embedded.length);
      expect(distance(again, embedded)).toBeLessThan(5e-6);
    }
    const text = tf.tensor(embedder.texts(fixture.ints('tokens')), [count, model.vision.width]);
    const cosines = tf.matMul(tf.tensor(embedded, [count, model.vision.width]), text, false, true);
    expect(apart(cosines.mul(embedder.temperature).add(embedder.logitBias), 'logits')).toBeLessThan(5e-6);
    expect(() => embedder.patches([{ ...images[0]!, mask: new Float32Array(3) }])).toThrow('padded to 3 patches');
    expect(() => embedder.images(new Uint8Array(32 * 32 * 3))).toThrow('no signature images');
    embedder.dispose();
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe('the compiled NaFlex tower', () => {
  /** Sum of squares of the pooled features, as a function of the parameters in the order of `inVision`. */
  const energy =
    (input: Tensor, seen: Tensor, sizes: Tensor, remat: boolean) =>
    (...values: Tensor[]) => {
      const p = Object.fromEntries(inVision.map((name, i) => [name, values[i]!]));
      return naflexTower(p, model, input, seen, sizes, { remat }).pooled.square().sum();
    };
  const withGradients = (f: (...values: Tensor[]) => Tensor, values: Tensor[]) => {
    const { value, grads } = tf.valueAndGrads(f as never)(values as never);
    return { value, grads: grads as Tensor[] };
  };
  const spec = (tensor: Tensor, dtype: 'float32' | 'int32' | 'uint8') => ({ shape: tensor.shape, dtype });

  it.each([
    ['op by op', {}, false, 1e-5],
    ['with chains fused', { fuseFrom: 0 }, false, 1e-5],
    ['with blocks computed again', {}, true, 1e-5],
    ['in bfloat16', { precision: 'bf16' }, false, 0.1],
  ] as const)('gives values and gradients of the eager one: %s', (_, options, remat, tolerance) => {
    const program = compile(
      {
        state: Object.fromEntries(inVision.map((name) => [name, spec(parameters[name]!, 'float32')])),
        signatures: {
          energy: {
            feeds: { patches: spec(patches, 'uint8'), mask: spec(mask, 'float32'), shapes: spec(shapes, 'int32') },
            run: (p, feeds) => {
              const input = normalisePatches(feeds.patches!, feeds.mask!);
              const { value, grads } = withGradients(
                energy(input, feeds.mask!, feeds.shapes!, remat),
                inVision.map((name) => p[name]!),
              );
              return { outputs: { value, ...Object.fromEntries(grads.map((g, i) => [`g${i}`, g])) } };
            },
          },
        },
      },
      options,
    );
    program.write(Object.fromEntries(inVision.map((name) => [name, fixture.floats(`parameters/${name}`)])));
    const compiled = program.run('energy', {
      patches: fixture.bytes('patches'),
      mask: mask.dataSync() as Float32Array,
      shapes: fixture.ints('spatialShapes'),
    });
    program.dispose();
    const eager = withGradients(
      energy(patches, mask, shapes, false),
      inVision.map((name) => parameters[name]!),
    );
    expect(distance(compiled.value!, eager.value.dataSync())).toBeLessThan(tolerance);
    for (const [i, name] of inVision.entries()) {
      if (name.endsWith('k_proj.bias')) continue;
      expect(distance(compiled[`g${i}`]!, eager.grads[i]!.dataSync()), name).toBeLessThan(tolerance);
    }
  });
});
