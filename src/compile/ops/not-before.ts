import type { Tensor } from '@tensorflow/tfjs';
import { nodeBackend } from '../../runtime/tensorflow.ts';
import { dataTypes } from '../graph.ts';
import { isTracing, rawOps } from '../trace.ts';

/**
 * `x`, but in a graph not before `signal` is there (`passes/wait-for.ts`). Without it TensorFlow would see that a second
 * forward pass repeats the first, and would keep the activations of the first; and would run what fits in memory only
 * one after the other side by side.
 */
export function notBefore(x: Tensor, signal: Tensor): Tensor {
  if (!isTracing()) return x;
  const { TF_ATTR_TYPE } = nodeBackend().binding;
  const types = { name: 'T', type: TF_ATTR_TYPE, value: [dataTypes.float32, dataTypes.float32] };
  return rawOps('IdentityN', [types], [x, signal], 2)[0]!;
}
