import type { Initialiser, ParameterSpec } from './parameters.ts';
import type { ModelConfig } from './sizes.ts';

/** Sizes of the decoder beyond those of the text tower, whose width, heads and MLP it has. */
export interface DecoderSize {
  readonly depth: number;
}

const layer = /^decoder\.layers\.(\d+)\./;

/** How many layers a decoder has whose tensors are among these; 0 where none is. */
export const decoderDepth = (tensors: readonly string[]): number =>
  Math.max(0, ...tensors.flatMap((name) => layer.exec(name)?.[1] ?? []).map((number) => Number(number) + 1));

/**
 * The parameters of the LocCa decoder (spec 3.2; big_vision `models/proj/cappa/cappa.py` with decoder_bias=False): no
 * biases but those of the final norm and of the logits. Its table has one row more than the vocabulary, the mask token;
 * the logits are untied and start at zero. Its attention names no initialiser, so flax gives it lecun_normal. Names follow
 * Hugging Face's encoder-decoder models.
 */
export function decoderSpecs({ vision, text }: ModelConfig, { depth }: DecoderSize): ParameterSpec[] {
  const { width, mlp, length, vocabulary } = text;
  const weight = (name: string, output: number, input: number, init: Initialiser): ParameterSpec => ({
    name: `decoder.${name}.weight`,
    shape: [output, input],
    init,
    decay: true,
  });
  const attention = (name: string, input: number): ParameterSpec =>
    weight(name, width, input, { kind: 'lecun', fanIn: input });
  const mlpWeight = (name: string, output: number, input: number): ParameterSpec =>
    weight(name, output, input, { kind: 'xavier', fanIn: input, fanOut: output });
  const vector = (name: string, size: number, value: number): ParameterSpec => ({
    name: `decoder.${name}`,
    shape: [size],
    init: { kind: 'constant', value },
    decay: false,
  });
  const table = (name: string, rows: number, std: number): ParameterSpec => {
    const init: Initialiser = { kind: 'normal', std };
    return { name: `decoder.${name}.weight`, shape: [rows, width], init, decay: false };
  };
  const layers = Array.from({ length: depth }, (_, i) => `layers.${i}`).flatMap((layer) => [
    vector(`${layer}.self_attn_layer_norm.weight`, width, 1),
    ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].map((part) => attention(`${layer}.self_attn.${part}`, width)),
    vector(`${layer}.encoder_attn_layer_norm.weight`, width, 1),
    attention(`${layer}.encoder_attn.q_proj`, width),
    attention(`${layer}.encoder_attn.k_proj`, vision.width),
    attention(`${layer}.encoder_attn.v_proj`, vision.width),
    attention(`${layer}.encoder_attn.out_proj`, width),
    vector(`${layer}.final_layer_norm.weight`, width, 1),
    mlpWeight(`${layer}.mlp.fc1`, mlp, width),
    mlpWeight(`${layer}.mlp.fc2`, width, mlp),
  ]);
  return [
    { ...table('embed_tokens', vocabulary + 1, 1), byToken: true },
    table('embed_positions', length, 1 / Math.sqrt(width)),
    ...layers,
    vector('layer_norm.weight', width, 1),
    vector('layer_norm.bias', width, 0),
    {
      name: 'decoder.lm_head.weight',
      shape: [vocabulary, width],
      init: { kind: 'constant', value: 0 },
      decay: true,
      byToken: true,
    },
    { ...vector('lm_head.bias', vocabulary, 0), byToken: true },
  ];
}
