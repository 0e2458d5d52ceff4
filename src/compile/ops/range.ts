import type { Tensor } from '@tensorflow/tfjs';
import { nodeBackend, tf } from '../../runtime/tensorflow.ts';
import { dataTypes } from '../graph.ts';
import { rawOp } from '../trace.ts';

/**
 * 0, `delta`, 2 `delta`, ... below `limit`: (n). `tf.range` makes it on the host, so that a graph would hold it as a
 * constant as long as the batch; this one is an op, whose three numbers are all that a graph keeps.
 */
export function rangeOp(limit: number, delta: number, dtype: 'int32' | 'float32'): Tensor {
  const attrs = [{ name: 'Tidx', type: nodeBackend().binding.TF_ATTR_TYPE, value: dataTypes[dtype] }];
  return rawOp(
    'Range',
    attrs,
    [0, limit, delta].map((value) => tf.scalar(value, dtype)),
  );
}
