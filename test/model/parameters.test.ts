import { describe, expect, it } from 'vitest';
import { decoderSpecs } from '../../src/model/decoder-parameters.ts';
import { initialise } from '../../src/model/initialise.ts';
import { parameterCount, parameterSpecs } from '../../src/model/parameters.ts';
import { fullVocabulary, type SizeName, textSizeFor, towerSizes } from '../../src/model/sizes.ts';
import { maskedPrediction } from '../../src/objectives/masked-prediction.ts';

const configOf = (size: SizeName, patch: number, resolution: number) => ({
  vision: { ...towerSizes[size], patch, resolution },
  text: { ...towerSizes[textSizeFor(size)], length: 64, vocabulary: fullVocabulary },
});

describe('the parameters of the towers', () => {
  // Counts of the released checkpoints (arXiv 2502.14786, big_vision README_siglip2).
  it.each([
    ['B', 32, 256, 376_856_066],
    ['B', 16, 256, 375_234_050],
    ['L', 16, 256, 881_526_786],
    ['So400m', 14, 224, 1_135_463_602],
    ['So400m', 16, 256, 1_135_670_962],
    ['g-opt', 16, 256, 1_871_393_906],
  ] as const)('%s/%i at %i px has %i', (size, patch, resolution, count) => {
    expect(parameterCount(configOf(size, patch, resolution))).toBe(count);
  });

  it('have the names and shapes of a Hugging Face SiglipModel', () => {
    const shapes = Object.fromEntries(parameterSpecs(configOf('B', 16, 224)).map(({ name, shape }) => [name, shape]));
    expect(shapes).toMatchObject({
      'vision_model.embeddings.patch_embedding.weight': [768, 3, 16, 16],
      'vision_model.embeddings.position_embedding.weight': [196, 768],
      'vision_model.encoder.layers.11.mlp.fc1.weight': [3072, 768],
      'vision_model.head.probe': [1, 1, 768],
      'vision_model.head.attention.in_proj_weight': [2304, 768],
      'text_model.embeddings.token_embedding.weight': [256_000, 768],
      'text_model.head.weight': [768, 768],
      logit_scale: [1],
    });
  });

  it('drops the pixels that are left over when the patch does not divide the resolution', () => {
    const specs = parameterSpecs(configOf('So400m', 14, 384));
    expect(specs.find(({ name }) => name.startsWith('vision_model.embeddings.position'))!.shape).toEqual([729, 1152]);
  });

  it('decays kernels only', () => {
    const decayed = parameterSpecs(configOf('mu', 16, 32)).filter(({ decay }) => decay);
    expect(decayed.map(({ name }) => name.replace('vision_model', 'V').replace('text_model', 'T'))).toEqual([
      'V.embeddings.patch_embedding.weight',
      ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].map((part) => `V.encoder.layers.0.self_attn.${part}.weight`),
      ...['fc1', 'fc2'].map((part) => `V.encoder.layers.0.mlp.${part}.weight`),
      'V.head.attention.in_proj_weight',
      'V.head.attention.out_proj.weight',
      'V.head.mlp.fc1.weight',
      'V.head.mlp.fc2.weight',
      ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].map((part) => `T.encoder.layers.0.self_attn.${part}.weight`),
      ...['fc1', 'fc2'].map((part) => `T.encoder.layers.0.mlp.${part}.weight`),
      'T.head.weight',
    ]);
  });
});

describe('initialisation', () => {
  const start = (kind: (name: string) => boolean) => {
    const spec = parameterSpecs(configOf('Ti', 16, 64), { temperature: 10, logitBias: -5.5 }).find(({ name }) =>
      kind(name),
    )!;
    const values = initialise(1, spec);
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    const std = Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length);
    return { values, mean, std, max: values.reduce((a, b) => Math.max(a, Math.abs(b)), 0) };
  };

  it('draws embeddings from N(0, 1 / width)', () => {
    const { mean, std } = start((name) => name.includes('token_embedding'));
    expect(mean).toBeCloseTo(0, 4);
    expect(std).toBeCloseTo(1 / Math.sqrt(192), 4);
  });

  it('draws attention and MLP kernels from xavier uniform', () => {
    const { std, max } = start((name) => name.endsWith('layers.0.mlp.fc1.weight'));
    const limit = Math.sqrt(6 / (192 + 768));
    expect(max).toBeLessThanOrEqual(limit);
    expect(std).toBeCloseTo(limit / Math.sqrt(3), 3);
  });

  it('draws the patch embedding from a truncated normal of variance 1 / fan-in', () => {
    const { std, max } = start((name) => name.endsWith('patch_embedding.weight'));
    expect(std).toBeCloseTo(1 / Math.sqrt(768), 3);
    expect(max).toBeLessThanOrEqual((2 / Math.sqrt(768)) * 1.137);
  });

  it("draws the decoder's attention as flax does by default, by its inputs alone, and starts the mask token at zero", () => {
    const { vision, text } = configOf('g-opt', 16, 256);
    const specs = decoderSpecs({ vision, text }, { depth: 1 });
    const keys = specs.find(({ name }) => name === 'decoder.layers.0.encoder_attn.k_proj.weight')!;
    expect(keys.init).toEqual({ kind: 'lecun', fanIn: 1536 });
    const values = initialise(1, { ...keys, shape: [512, 1536] });
    const std = Math.sqrt(values.reduce((a, b) => a + b ** 2, 0) / values.length);
    expect(std).toBeCloseTo(1 / Math.sqrt(1536), 4);
    const token = maskedPrediction.parameters({} as never, { vision, text }).find(({ name }) => name === 'mask_token')!;
    expect(initialise(1, token)).toEqual(new Float32Array(1536));
  });

  it('starts the temperature at log 10 and the bias where the recipe says', () => {
    expect(start((name) => name === 'logit_scale').values[0]).toBeCloseTo(Math.log(10), 6);
    expect(start((name) => name === 'logit_bias').values[0]).toBe(-5.5);
  });

  it('is a pure function of seed and name', () => {
    const specs = parameterSpecs(configOf('mu', 8, 16));
    const fc = specs.filter(({ name }) => name.endsWith('fc1.weight'));
    expect(initialise(1, fc[0]!)).toEqual(initialise(1, fc[0]!));
    expect(initialise(1, fc[0]!)).not.toEqual(initialise(2, fc[0]!));
    expect(initialise(1, fc[0]!)).not.toEqual(initialise(1, fc[1]!));
  });
});
