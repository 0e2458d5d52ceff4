import type { Initialiser, ParameterSpec } from './parameters.ts';

/** How the names of the parameters of each objective's head begin. */
export const headOf = { localToGlobal: 'dino_head', maskedPrediction: 'patch_head' } as const;
/** What stands in the place of masked patches. */
export const maskToken = 'mask_token';

/** Sizes of a head; the defaults of DINO are 2048, 256 and 65,536. */
export interface DinoHeadSize {
  readonly hidden: number;
  readonly bottleneck: number;
  readonly prototypes: number;
}

/**
 * The parameters of a head on features of `width`, named as in DINO. Its `trunc_normal_` cuts at +-2, a hundred
 * deviations out: a plain normal.
 */
export function dinoHeadSpecs(name: string, width: number, size: DinoHeadSize): ParameterSpec[] {
  const { hidden, bottleneck, prototypes } = size;
  const init: Initialiser = { kind: 'normal', std: 0.02 };
  const layer = (index: number, input: number, output: number): ParameterSpec[] => [
    { name: `${name}.mlp.${index}.weight`, shape: [output, input], init, decay: true },
    { name: `${name}.mlp.${index}.bias`, shape: [output], init: { kind: 'constant', value: 0 }, decay: false },
  ];
  return [
    ...layer(0, width, hidden),
    ...layer(2, hidden, hidden),
    ...layer(4, hidden, bottleneck),
    { name: `${name}.last_layer.weight_v`, shape: [prototypes, bottleneck], init, decay: true },
  ];
}
