import type { Tensor } from '@tensorflow/tfjs';
import { float32MatMul } from '../compile/ops/float32-matmul.ts';
import { geluTanh } from '../compile/ops/gelu.ts';
import { l2Normalise } from '../compile/ops/l2-normalise.ts';
import { linear, type Parameters, parameter } from './layers.ts';

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
