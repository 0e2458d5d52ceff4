import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../../runtime/tensorflow.ts';

const scale = Math.sqrt(2 / Math.PI);
const cubic = 0.044715;

/**
 * GELU in its tanh form, 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), of any shape: flax `nn.gelu`
 * (approximate=True), transformers `gelu_pytorch_tanh`. The gradient is closed-form.
 */
export function geluTanh(x: Tensor): Tensor {
  const op = tf.customGrad((...args: unknown[]) => {
    const [input, save] = args as [Tensor, (tensors: Tensor[]) => void];
    const square = input.square();
    const tanh = square
      .mul(scale * cubic)
      .add(scale)
      .mul(input)
      .tanh();
    save([input, tanh]);
    const gradFunc = (dy: Tensor, saved: Tensor[]) => {
      const [u, t] = saved as [Tensor, Tensor];
      const inner = u
        .square()
        .mul(3 * scale * cubic)
        .add(scale);
      const slope = t.square().neg().add(1).mul(inner).mul(u).add(t).add(1).mul(0.5);
      return dy.mul(slope);
    };
    return { value: input.mul(tanh.add(1)).mul(0.5), gradFunc };
  });
  return op(x);
}
