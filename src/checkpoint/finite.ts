import { RunnerError } from '../runtime/errors.ts';
import type { TensorToWrite } from '../safetensors/safetensors.ts';

/** A tensor of F32 whose data end in RecipeInvalid, naming it, at the first number that is none or infinite. */
export function finite(path: string, tensor: TensorToWrite): TensorToWrite {
  const { name, data } = tensor;
  let seen = 0;
  const check = (bytes: Uint8Array) => {
    const bits = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    // A loop by hand: it goes over every number of a model.
    for (let i = 0; i < bits.length; i++) {
      if ((bits[i]! & 0x7f800000) !== 0x7f800000) continue;
      const value = new Float32Array(bits.buffer, bits.byteOffset + 4 * i, 1)[0]!;
      throw new RunnerError(
        'RecipeInvalid',
        `${path} is not a model that can be used: tensor ${name} holds ${value} at place ${seen + i} of its numbers`,
      );
    }
    seen += bits.length;
    return bytes;
  };
  return {
    ...tensor,
    async *data() {
      seen = 0;
      if (data instanceof Uint8Array) yield check(data);
      else for await (const chunk of data()) yield check(chunk);
    },
  };
}
