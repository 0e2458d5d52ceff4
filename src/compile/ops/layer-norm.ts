import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';

/**
 * Layer norm over the last axis with a closed-form gradient: (R, D) x (D) x (D) -> (R, D). Autodiff through the
 * mean and the variance would run about five times as many ops.
 */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor {
  const op = tf.customGrad((...args: unknown[]) => {
    const [input, w, b, save] = args as [Tensor, Tensor, Tensor, (tensors: Tensor[]) => void];
    const centred = input.sub(input.mean(-1, true));
    const inverseDeviation = centred.square().mean(-1, true).add(epsilon).rsqrt();
    const normal = centred.mul(inverseDeviation);
    save([normal, inverseDeviation, w]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => {
      const [xhat, rstd, gain] = saved as [Tensor, Tensor, Tensor];
      const dxhat = dy.mul(gain);
      const dx = dxhat
        .sub(dxhat.mean(-1, true))
        .sub(xhat.mul(dxhat.mul(xhat).mean(-1, true)))
        .mul(rstd);
      return [dx, dy.mul(xhat).sum(0), dy.sum(0)];
    };
    return { value: normal.mul(w).add(b), gradFunc };
  });
  return op(x, weight, bias);
}
