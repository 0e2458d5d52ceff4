import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoModel, env, Tensor } from '@huggingface/transformers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelConfigFile } from '../../src/checkpoint/hugging-face/config.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { graphOf, type TowerPart } from '../../src/onnx/models.ts';
import { opsets } from '../../src/onnx/proto.ts';
import { Weights } from '../../src/onnx/weights.ts';
import { writeModel } from '../../src/onnx/write-model.ts';
import { type Fixture, openFixture } from '../parity/reference.ts';
import { answers, apart, type Fed, floats, leastCosine, whole } from './answers.ts';

/** Numbers of transformers' Siglip2Model, five shapes in one batch: test/parity/make_naflex_fixtures.py. */
const { model } = JSON.parse(
  readFileSync(new URL('../parity/fixtures/tiny-siglip2.json', import.meta.url), 'utf8'),
) as { model: ModelConfig };
let fixture: Fixture;
let weights: Weights;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-onnx-naflex-'));
  fixture = await openFixture('tiny-siglip2.safetensors');
  weights = new Weights(
    parameterSpecs(model).map(({ name, shape }) => {
      const values = fixture.floats(`parameters/${name}`);
      return { name, dtype: 'F32', shape, data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
    }),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function written(part: TowerPart, { float = 'f32', opset = 20 }: Partial<Form> = {}): Promise<string> {
  const file = `${part}-${float}-${opset}.onnx`;
  await writeModel(folder, file, graphOf(part, weights, model, float, opset), { producer: 'test' });
  return join(folder, file);
}
interface Form {
  readonly float: 'f32' | 'f16';
  readonly opset: number;
}

/** Padding is zero, as Siglip2ImageProcessor leaves it. */
function pictures(): Record<string, Fed> {
  const [mask, numbers] = [fixture.ints('mask'), 3 * model.vision.patch ** 2];
  const pixels = Float32Array.from(fixture.bytes('patches'), (byte, at) =>
    mask[Math.floor(at / numbers)] === 1 ? byte / 127.5 - 1 : 0,
  );
  return {
    pixel_values: floats(pixels, fixture.shape('patches')),
    pixel_attention_mask: whole(mask, fixture.shape('mask')),
    spatial_shapes: whole(fixture.ints('spatialShapes'), fixture.shape('spatialShapes')),
  };
}
const ids = () => whole(fixture.ints('tokens'), fixture.shape('tokens'));

describe('a NaFlex model as ONNX, against transformers', () => {
  it('sees pictures of five shapes in one batch, with positions resized in the graph', async () => {
    const found = await answers(await written('image'), pictures());
    expect(apart(found.pooler_output!.data, fixture.floats('image/pooled'))).toBeLessThan(5e-6);
    expect(apart(found.last_hidden_state!.data, fixture.floats('image/encoded'))).toBeLessThan(1e-5);
  });

  it('takes batches of any size and length', async () => {
    const file = await written('image');
    const all = await answers(file, pictures());
    const shapes = fixture.ints('spatialShapes');
    const { width, patch } = model.vision;
    const [length, numbers] = [fixture.shape('mask')[1]!, 3 * patch ** 2];
    for (let i = 0; i * 2 < shapes.length; i++) {
      const patches = shapes[2 * i]! * shapes[2 * i + 1]!;
      const pixels = (pictures().pixel_values!.data as Float32Array).slice(i * length * numbers);
      const { pooler_output } = await answers(file, {
        pixel_values: floats(pixels.subarray(0, patches * numbers), [1, patches, numbers]),
        pixel_attention_mask: whole(Array(patches).fill(1), [1, patches]),
        spatial_shapes: whole(shapes.subarray(2 * i, 2 * i + 2), [1, 2]),
      });
      const row = all.pooler_output!.data.subarray(i * width, (i + 1) * width);
      expect(apart(pooler_output!.data, row)).toBeLessThan(5e-6);
    }
  });

  it.each(opsets)('gives the same logits with the operators of opset %i', async (opset) => {
    const { logits_per_image } = await answers(await written('both', { opset }), { ...pictures(), input_ids: ids() });
    expect(apart(logits_per_image!.data, fixture.floats('logits'))).toBeLessThan(2e-5);
  });

  it.each([20, 18])('in float16 and opset %i still looks at what is no padding alone', async (opset) => {
    const file = await written('image', { float: 'f16', opset });
    const whole = await answers(file, pictures());
    expect(leastCosine(whole.pooler_output!.data, fixture.floats('image/pooled'), model.vision.width)).toBeGreaterThan(
      1 - 1e-4,
    );
    const fed = pictures();
    const mask = fixture.ints('mask');
    const numbers = 3 * model.vision.patch ** 2;
    const noise = (fed.pixel_values!.data as Float32Array).map((x, at) => (mask[Math.floor(at / numbers)] ? x : 7));
    const other = await answers(file, { ...fed, pixel_values: floats(noise, fed.pixel_values!.shape) });
    expect(apart(other.pooler_output!.data, whole.pooler_output!.data)).toBe(0);
  });

  it('is loaded by transformers.js, which has no class of its own for it', async () => {
    env.allowRemoteModels = false;
    env.localModelPath = '';
    await written('both');
    await writeFile(join(folder, 'config.json'), modelConfigFile(model).content);
    const loaded = await AutoModel.from_pretrained(folder, {
      ...{ local_files_only: true, dtype: 'fp32', subfolder: '', model_file_name: 'both-f32-20' },
    });
    const tensors = Object.entries({ ...pictures(), input_ids: ids() }).map(([name, { type, data, shape }]) => [
      name,
      new Tensor(type, data, [...shape]),
    ]);
    const { logits_per_image } = await loaded(Object.fromEntries(tensors));
    expect(apart(logits_per_image.data, fixture.floats('logits'))).toBeLessThan(2e-5);
    await loaded.dispose();
  });
});
