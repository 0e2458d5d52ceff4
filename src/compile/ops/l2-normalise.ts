import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';

const epsilon = 1e-8;

/**
 * Rows of length one, as big_vision `two_towers.py`: z = x / (|x| + 1e-8), (R, E) -> (R, E), with a closed-form gradient
 * that needs z and a number a row: dx = (dz - z (z . dz) (|x| + 1e-8) / |x|) / (|x| + 1e-8). Autodiff would keep x as
 * well, and make five arrays of its size.
 */
export function l2Normalise(x_RE: Tensor): Tensor {
  const op = tf.customGrad((...args: unknown[]) => {
    const [x, save] = args as [Tensor, (tensors: Tensor[]) => void];
    const length_R1 = x.square().sum(-1, true).sqrt();
    const inverse_R1 = tf.scalar(1).div(length_R1.add(epsilon)) as Tensor;
    const z = x.mul(inverse_R1) as Tensor;
    save([z, inverse_R1, length_R1.add(epsilon).div(length_R1)]);
    const gradFunc = (dz: Tensor, saved: Tensor[]) => {
      const [z, inverse, share] = saved as [Tensor, Tensor, Tensor];
      return dz.sub(z.mul(z.mul(dz).sum(-1, true).mul(share))).mul(inverse);
    };
    return { value: z, gradFunc };
  });
  return op(x_RE);
}
