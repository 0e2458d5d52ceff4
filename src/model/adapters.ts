import { isMeant } from './parameter-parts.ts';
import { type ParameterSpec, parameterSpecs } from './parameters.ts';
import type { ModelConfig } from './sizes.ts';

/** Linear layers of a block that can have an adapter. */
export const adapterTargets = ['q_proj', 'k_proj', 'v_proj', 'out_proj', 'fc1', 'fc2'] as const;
export type AdapterTarget = (typeof adapterTargets)[number];

/**
 * Adapters of low rank, as peft has them: V = W + (alpha / rank) B A (LoRA, arXiv 2106.09685), and with `useDora` each row of V is
 * scaled to a length that is trained by itself (DoRA, arXiv 2402.09353).
 */
export interface AdapterSize {
  readonly rank: number;
  readonly alpha: number;
  readonly targets: readonly AdapterTarget[];
  /** Towers and blocks, as `isMeant` reads them. */
  readonly in: readonly string[];
  readonly useDora?: boolean | undefined;
}

export const adapterScale = ({ alpha, rank }: Pick<AdapterSize, 'alpha' | 'rank'>): number => alpha / rank;

/** What is beside `<layer>.weight`, named as peft names it. */
export const adapterA = (layer: string) => `${layer}.lora_A.weight`;
export const adapterB = (layer: string) => `${layer}.lora_B.weight`;
/** Of DoRA: the length of each row of the weight. */
export const adapterMagnitude = (layer: string) => `${layer}.lora_magnitude_vector`;
export const isAdapter = (name: string): boolean => /\.lora_([AB]\.weight|magnitude_vector)$/.test(name);

/** The weight whose rows a length is of, by the name of the length; null for what is none. */
export const weightOfMagnitude = (name: string): string | null => {
  const layer = /^(.*)\.lora_magnitude_vector$/.exec(name)?.[1];
  return layer === undefined ? null : `${layer}.weight`;
};

/** Lengths of the rows of a weight (out, in), which DoRA begins with: then the first step is that of the model alone. */
export function rowLengths(weight: Float32Array, rows: number): Float32Array<ArrayBuffer> {
  const width = weight.length / rows;
  return Float32Array.from({ length: rows }, (_, row) => {
    let sum = 0;
    for (let j = row * width; j < (row + 1) * width; j++) sum += weight[j]! * weight[j]!;
    return Math.sqrt(sum);
  });
}

/** A linear layer with an adapter. */
export interface AdaptedLayer {
  readonly layer: string;
  /** Of its weight: (out, in). */
  readonly shape: readonly [number, number];
}

/** The layers of the blocks of both towers that an adapter is meant for. */
export function adaptedLayers(
  model: ModelConfig,
  { targets, in: places }: Pick<AdapterSize, 'targets' | 'in'>,
): AdaptedLayer[] {
  return parameterSpecs(model).flatMap(({ name, shape }) => {
    const found = /^((?:vision|text)_model\.encoder\.layers\.\d+\.(?:self_attn|mlp)\.(\w+))\.weight$/.exec(name);
    if (!found || !targets.some((target) => target === found[2])) return [];
    if (!places.some((place) => isMeant(place, name))) return [];
    return [{ layer: found[1]!, shape: shape as readonly number[] as [number, number] }];
  });
}

/**
 * A starts as peft has it, uniform up to 1 / sqrt(in), and B at zero: the first step is that of the model alone. Lengths of
 * rows begin as those of the weights, which no specification holds: whoever makes a state sets them (`rowLengths`).
 */
export function adapterSpecs(model: ModelConfig, size: AdapterSize): ParameterSpec[] {
  const { rank, useDora } = size;
  return adaptedLayers(model, size).flatMap(({ layer, shape: [output, input] }): ParameterSpec[] => [
    // The limit is sqrt(6 / (fanIn + fanOut)).
    {
      name: adapterA(layer),
      shape: [rank, input],
      init: { kind: 'xavier', fanIn: 6 * input - rank, fanOut: rank },
      decay: true,
    },
    { name: adapterB(layer), shape: [output, rank], init: { kind: 'constant', value: 0 }, decay: true },
    ...(useDora
      ? [
          {
            name: adapterMagnitude(layer),
            shape: [output],
            init: { kind: 'constant', value: 0 },
            decay: false,
          } as const,
        ]
      : []),
  ]);
}
