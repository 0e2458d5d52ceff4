import type { Tensor } from '@tensorflow/tfjs';
import { nodeBackend } from '../../runtime/tensorflow.ts';
import { dataTypes } from '../graph.ts';
import { rawOp } from '../trace.ts';

/** A uint8 feed, of any shape, as float32 of the same values 0 to 255. No gradient. */
export function bytesToFloat(bytes: Tensor): Tensor {
  const { binding } = nodeBackend();
  const attrs = [
    { name: 'SrcT', type: binding.TF_ATTR_TYPE, value: dataTypes.uint8 },
    { name: 'DstT', type: binding.TF_ATTR_TYPE, value: dataTypes.float32 },
    { name: 'Truncate', type: binding.TF_ATTR_BOOL, value: false },
  ];
  return rawOp('Cast', attrs, [bytes]);
}
