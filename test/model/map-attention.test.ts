import { expect, it } from 'vitest';
import { attentionTo, foldAttention } from '../../src/model/map-attention.ts';
import { loadReference } from '../parity/reference.ts';

it('its shares of the patches, put through the rest of the MAP head in loops, give the pooled features of transformers', async () => {
  const { floats, model } = await loadReference();
  const { width, heads, mlp } = model.vision;
  const own = (name: string) => floats(`parameters/vision_model.head.${name}`);
  const weight = own('attention.in_proj_weight');
  const bias = own('attention.in_proj_bias');
  const attention = foldAttention({ weight, bias, probe: own('probe'), heads });
  const affine = (x: ArrayLike<number>, w: Float32Array, b: Float32Array) =>
    Float64Array.from(b, (start, i) =>
      Array.from(x).reduce((sum, value, k) => sum + value * w[i * x.length + k]!, start),
    );
  const encoded = floats('image/encoded');
  const pooled = floats('image/pooled');
  const n = encoded.length / pooled.length;
  for (let image = 0; image < pooled.length / width; image++) {
    const patches = encoded.subarray(image * n * width, (image + 1) * n * width);
    const shares = attentionTo(attention, patches);
    const values = Array.from({ length: n }, (_, i) =>
      affine(
        patches.subarray(i * width, (i + 1) * width),
        weight.subarray(2 * width * width),
        bias.subarray(2 * width),
      ),
    );
    const attended = Float64Array.from({ length: width }, (_, d) => {
      const head = Math.floor(d / (width / heads));
      return values.reduce((sum, value, i) => sum + shares[head * n + i]! * value[d]!, 0);
    });
    const hidden = affine(attended, own('attention.out_proj.weight'), own('attention.out_proj.bias'));
    const mean = hidden.reduce((sum, value) => sum + value / width, 0);
    const deviation = Math.sqrt(hidden.reduce((sum, value) => sum + (value - mean) ** 2 / width, 0) + 1e-6);
    const normed = hidden.map(
      (value, d) => ((value - mean) / deviation) * own('layernorm.weight')[d]! + own('layernorm.bias')[d]!,
    );
    const inner = affine(normed, own('mlp.fc1.weight'), own('mlp.fc1.bias')).map(
      (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
    );
    expect(inner).toHaveLength(mlp);
    const out = affine(inner, own('mlp.fc2.weight'), own('mlp.fc2.bias'));
    for (let d = 0; d < width; d++) expect(hidden[d]! + out[d]!).toBeCloseTo(pooled[image * width + d]!, 4);
  }
});
