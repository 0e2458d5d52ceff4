import { isMeant } from './parameter-parts.ts';
import { type ParameterSpec, parameterSpecs } from './parameters.ts';
import type { ModelConfig } from './sizes.ts';

/** Linear layers of a block that can have an adapter. */
export const adapterTargets = ['q_proj', 'k_proj', 'v_proj', 'out_proj', 'fc1', 'fc2'] as const;
export type AdapterTarget = (typeof adapterTargets)[number];

/** Adapters of low rank (LoRA, arXiv 2106.09685), as peft has them: W + (alpha / rank) B A. */
export interface AdapterSize {
  readonly rank: number;
  readonly alpha: number;
  readonly targets: readonly AdapterTarget[];
  /** Towers and blocks, as `isMeant` reads them. */
  readonly in: readonly string[];
}

export const adapterScale = ({ alpha, rank }: Pick<AdapterSize, 'alpha' | 'rank'>): number => alpha / rank;

/** The two matrices beside `<layer>.weight`, named as peft names them. */
export const adapterA = (layer: string) => `${layer}.lora_A.weight`;
export const adapterB = (layer: string) => `${layer}.lora_B.weight`;
export const isAdapter = (name: string): boolean => /\.lora_[AB]\.weight$/.test(name);

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

/** A starts as peft has it, uniform up to 1 / sqrt(in), and B at zero: the first step is that of the model alone. */
export function adapterSpecs(model: ModelConfig, size: AdapterSize): ParameterSpec[] {
  const { rank } = size;
  return adaptedLayers(model, size).flatMap(({ layer, shape: [output, input] }): ParameterSpec[] => [
    // The limit is sqrt(6 / (fanIn + fanOut)).
    {
      name: adapterA(layer),
      shape: [rank, input],
      init: { kind: 'xavier', fanIn: 6 * input - rank, fanOut: rank },
      decay: true,
    },
    { name: adapterB(layer), shape: [output, rank], init: { kind: 'constant', value: 0 }, decay: true },
  ]);
}
