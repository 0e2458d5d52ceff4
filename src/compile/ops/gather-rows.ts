import type { Tensor } from '@tensorflow/tfjs';
import { nodeBackend, tf } from '../../runtime/tensorflow.ts';
import { dataTypes } from '../graph.ts';
import { rawOp } from '../trace.ts';

/**
 * Rows of a table: (V, D) float32 and (R) int32 -> (R, D). `tf.gather` reads the ids back to the host at every
 * call, which a compiled graph can't; TensorFlow checks the ids itself and fails on one outside [0, V).
 */
export function gatherRows(table: Tensor, ids: Tensor): Tensor {
  const { binding } = nodeBackend();
  const type = (name: string, value: number) => ({ name, type: binding.TF_ATTR_TYPE, value });
  const rows = table.shape[0]!;
  const op = tf.customGrad((...args: unknown[]) => {
    const [values, save] = args as [Tensor, (tensors: Tensor[]) => void];
    const attrs = [
      type('Tparams', dataTypes.float32),
      type('Tindices', dataTypes.int32),
      type('Taxis', dataTypes.int32),
      { name: 'batch_dims', type: binding.TF_ATTR_INT, value: 0 },
    ];
    save([ids]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => sumToRows(dy, saved[0]!, rows);
    return { value: rawOp('GatherV2', attrs, [values, ids, tf.scalar(0, 'int32')]), gradFunc };
  });
  return op(table);
}

/** Its transpose: each of the (R, D) values added to the row that its id in (R) int32 names -> (rows, D). */
export function sumToRows(values: Tensor, ids: Tensor, rows: number): Tensor {
  const { TF_ATTR_TYPE } = nodeBackend().binding;
  const type = (name: string, value: number) => ({ name, type: TF_ATTR_TYPE, value });
  const attrs = [
    type('T', dataTypes.float32),
    type('Tindices', dataTypes.int32),
    type('Tnumsegments', dataTypes.int32),
  ];
  return rawOp('UnsortedSegmentSum', attrs, [values, ids, tf.scalar(rows, 'int32')]);
}
