import type { Tensor } from '@tensorflow/tfjs';
import { float32MatMul } from '../compile/ops/float32-matmul.ts';
import { geluTanh } from '../compile/ops/gelu.ts';
import { l2Normalise } from '../compile/ops/l2-normalise.ts';
import { linear, type Parameters, parameter } from './layers.ts';
import type { Initialiser, ParameterSpec } from './parameters.ts';

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

/**
 * Cosines of projected features with prototypes: (R, D) -> (R, K). Three layers, a bottleneck of length one, and a
 * weight-normalised layer whose weight_g is fixed at 1, which is to normalise its rows (DINO, arXiv 2104.14294,
 * `DINOHead` of its vision_transformer.py). DINO's GELU is the erf form; this is the tanh form, as everywhere in the
 * towers and by default in JAX, which SILC and SigLIP 2 were trained in. The cosines are float32 in any precision: a
 * temperature of 0.04 would make 0.1 of the rounding of a bfloat16.
 */
export function dinoHead(p: Parameters, name: string, x_RD: Tensor): Tensor {
  const first = geluTanh(linear(p, `${name}.mlp.0`, x_RD));
  const second = geluTanh(linear(p, `${name}.mlp.2`, first));
  const bottleneck_RE = l2Normalise(linear(p, `${name}.mlp.4`, second));
  return float32MatMul(bottleneck_RE, l2Normalise(parameter(p, `${name}.last_layer.weight_v`)), false, true);
}
