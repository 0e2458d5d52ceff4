import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';

const epsilon = 1e-8;

/** Rows of length one, with what their gradient needs beside them: a number or two a row. */
export interface UnitRows {
  readonly z: Tensor;
  /** 1 / (|x| + 1e-8), and (|x| + 1e-8) / |x|: (R, 1). */
  readonly inverse: Tensor;
  readonly share: Tensor;
}

/** z = x / (|x| + 1e-8), as big_vision `two_towers.py`: (R, E) -> (R, E). */
export function unitRows(x: Tensor): UnitRows {
  const length_R1 = x.square().sum(-1, true).sqrt();
  const inverse = tf.scalar(1).div(length_R1.add(epsilon)) as Tensor;
  return { z: x.mul(inverse), inverse, share: length_R1.add(epsilon).div(length_R1) };
}

/** dx = (dz - z (z . dz) (|x| + 1e-8) / |x|) / (|x| + 1e-8). Autodiff would keep x as well, and make five arrays of its size. */
export const throughUnitRows = ({ z, inverse, share }: UnitRows, dz: Tensor): Tensor =>
  dz.sub(z.mul(z.mul(dz).sum(-1, true).mul(share))).mul(inverse);

/** `unitRows` with its gradient. */
export function l2Normalise(x_RE: Tensor): Tensor {
  const op = tf.customGrad((...args: unknown[]) => {
    const [x, save] = args as [Tensor, (tensors: Tensor[]) => void];
    const { z, inverse, share } = unitRows(x);
    save([z, inverse, share]);
    const gradFunc = (dz: Tensor, saved: Tensor[]) => {
      const [z, inverse, share] = saved as [Tensor, Tensor, Tensor];
      return throughUnitRows({ z, inverse, share }, dz);
    };
    return { value: z, gradFunc };
  });
  return op(x_RE);
}
