import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../src/runtime/tensorflow.ts';

/** Bytes as an eager tensor that TensorFlow knows as uint8. */
export function bytesTensor(values: Uint8Array, shape: number[]): Tensor {
  const backend = tf.backend() as unknown as {
    executeSingleOutput(name: string, attrs: object[], inputs: Tensor[]): Tensor;
    binding: { TF_ATTR_TYPE: number; TF_ATTR_BOOL: number };
  };
  const type = (name: string, value: number) => ({ name, type: backend.binding.TF_ATTR_TYPE, value });
  const attrs = [
    type('SrcT', 3),
    type('DstT', 4),
    { name: 'Truncate', type: backend.binding.TF_ATTR_BOOL, value: false },
  ];
  return backend.executeSingleOutput('Cast', attrs, [tf.tensor(Int32Array.from(values), shape, 'int32')]);
}
