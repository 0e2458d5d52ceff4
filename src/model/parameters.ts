import { embeddingWidth, type ModelConfig, type TowerSize } from './sizes.ts';

/**
 * How a parameter starts (spec of flax as big_vision uses it; transformers `_init_weights` mirrors it).
 * normal: N(0, std^2). xavier: uniform, limit sqrt(6 / (fanIn + fanOut)), drawn per block of `fanOut` rows.
 * lecun: normal truncated at two deviations, variance 1 / fanIn.
 */
export type Initialiser =
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'xavier'; readonly fanIn: number; readonly fanOut: number }
  | { readonly kind: 'lecun'; readonly fanIn: number };

export interface ParameterSpec {
  /** The name in a Hugging Face SiglipModel (NaFlex: Siglip2Model); so are the shapes. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Initialiser;
  /** Weight decay applies to kernels only: big_vision's mask `.*\/kernel$`. */
  readonly decay: boolean;
  /** Its rows are the tokens of the vocabulary, and rows of no token come after them. */
  readonly byToken?: true;
  /** Of each update, where layers decay: absent is all of it. */
  readonly share?: number;
}

export const tokenTable = 'text_model.embeddings.token_embedding.weight';

const zero: Initialiser = { kind: 'constant', value: 0 };
const one: Initialiser = { kind: 'constant', value: 1 };

const vector = (name: string, size: number, init: Initialiser): ParameterSpec => ({
  name,
  shape: [size],
  init,
  decay: false,
});

/** A Linear layer: weight (out, in) and bias (out). */
const linear = (
  name: string,
  input: number,
  output: number,
  init: Initialiser,
  bias: Initialiser = zero,
): ParameterSpec[] => [
  { name: `${name}.weight`, shape: [output, input], init, decay: true },
  vector(`${name}.bias`, output, bias),
];
const layerNorm = (name: string, width: number): ParameterSpec[] => [
  vector(`${name}.weight`, width, one),
  vector(`${name}.bias`, width, zero),
];

function mlp(name: string, { width, mlp: hidden }: TowerSize): ParameterSpec[] {
  const xavier: Initialiser = { kind: 'xavier', fanIn: width, fanOut: hidden };
  const bias: Initialiser = { kind: 'normal', std: 1e-6 };
  return [...linear(`${name}.fc1`, width, hidden, xavier, bias), ...linear(`${name}.fc2`, hidden, width, xavier, bias)];
}

function encoder(name: string, size: TowerSize): ParameterSpec[] {
  const xavier: Initialiser = { kind: 'xavier', fanIn: size.width, fanOut: size.width };
  return Array.from({ length: size.depth }, (_, i) => `${name}.layers.${i}`).flatMap((layer) => [
    ...layerNorm(`${layer}.layer_norm1`, size.width),
    ...['q_proj', 'k_proj', 'v_proj', 'out_proj'].flatMap((part) =>
      linear(`${layer}.self_attn.${part}`, size.width, size.width, xavier),
    ),
    ...layerNorm(`${layer}.layer_norm2`, size.width),
    ...mlp(`${layer}.mlp`, size),
  ]);
}

function mapHead(name: string, size: TowerSize): ParameterSpec[] {
  const { width } = size;
  const xavier: Initialiser = { kind: 'xavier', fanIn: width, fanOut: width };
  return [
    { name: `${name}.probe`, shape: [1, 1, width], init: { kind: 'xavier', fanIn: 1, fanOut: width }, decay: false },
    // Three matrices in one: flax draws q, k and v apart, so each has the fan of its own.
    { name: `${name}.attention.in_proj_weight`, shape: [3 * width, width], init: xavier, decay: true },
    vector(`${name}.attention.in_proj_bias`, 3 * width, zero),
    ...linear(`${name}.attention.out_proj`, width, width, xavier),
    ...layerNorm(`${name}.layernorm`, width),
    ...mlp(`${name}.mlp`, size),
  ];
}

/** Every parameter of the two towers, by Hugging Face name, in a fixed order. Scale and bias are logit_scale, logit_bias. */
export function parameterSpecs(
  config: ModelConfig,
  init: { readonly temperature: number; readonly logitBias: number } = { temperature: 10, logitBias: -10 },
): ParameterSpec[] {
  const { vision, text } = config;
  const tokens = patchGrid(config) ** 2;
  const table = (name: string, rows: number, width: number): ParameterSpec => ({
    name,
    shape: [rows, width],
    init: { kind: 'normal', std: 1 / Math.sqrt(width) },
    decay: false,
  });
  const patchFan = 3 * vision.patch ** 2;
  const patch = 'vision_model.embeddings.patch_embedding';
  const patchShape = vision.kind === 'naflex' ? [patchFan] : [3, vision.patch, vision.patch];
  return [
    {
      name: `${patch}.weight`,
      shape: [vision.width, ...patchShape],
      init: { kind: 'lecun', fanIn: patchFan },
      decay: true,
    },
    vector(`${patch}.bias`, vision.width, zero),
    table('vision_model.embeddings.position_embedding.weight', tokens, vision.width),
    ...encoder('vision_model.encoder', vision),
    ...layerNorm('vision_model.post_layernorm', vision.width),
    ...mapHead('vision_model.head', vision),
    { ...table(tokenTable, text.vocabulary, text.width), byToken: true },
    table('text_model.embeddings.position_embedding.weight', text.length, text.width),
    ...encoder('text_model.encoder', text),
    ...layerNorm('text_model.final_layer_norm', text.width),
    ...linear('text_model.head', text.width, embeddingWidth(config), { kind: 'lecun', fanIn: text.width }),
    vector('logit_scale', 1, { kind: 'constant', value: Math.log(init.temperature) }),
    vector('logit_bias', 1, { kind: 'constant', value: init.logitBias }),
  ];
}

/** Patches on a side of the square input; what is left over at the border is dropped (VALID convolution). */
export function patchGrid(config: ModelConfig): number {
  return Math.floor(config.vision.resolution / config.vision.patch);
}

/** Number of parameters of the two towers, logit_scale and logit_bias included. */
export function parameterCount(config: ModelConfig): number {
  return parameterSpecs(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}
