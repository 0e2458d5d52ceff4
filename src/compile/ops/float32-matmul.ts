import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';
import { inFloat32 } from '../trace.ts';

/**
 * A matmul that ends in a loss: in float32 whatever the precision of the others (`passes/bfloat16.ts`), as big_vision
 * has its cosines and its logits. A logit of 20 in bfloat16 is off by up to 0.06.
 */
export function float32MatMul(a: Tensor, b: Tensor, transposeA = false, transposeB = false): Tensor {
  return inFloat32(() => tf.matMul(a, b, transposeA, transposeB));
}
