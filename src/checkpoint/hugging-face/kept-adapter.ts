import { adapterA, adapterB, adapterMagnitude } from '../../model/adapters.ts';
import type { TensorToWrite } from '../../safetensors/safetensors.ts';
import { scaleTensor, updatesTensor, withoutAdapter } from '../training-tensors.ts';
import type { Adapter } from './read-adapter.ts';

/**
 * What a checkpoint keeps of adapters beside the model with them added, so that a phase with the same `lora` goes on with
 * them: the adapters, the weights without them, and that nothing has moments yet.
 */
export function keptAdapter(tensors: readonly TensorToWrite[], { layers, lora }: Adapter): TensorToWrite[] {
  if (!lora) return [];
  const floats = (name: string, shape: readonly number[], values: Float32Array): TensorToWrite => ({
    name,
    dtype: 'F32',
    shape,
    data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  });
  const adapters = [...layers.values()].flatMap(({ layer, rank, a, b, magnitude }) => [
    floats(adapterA(layer), [rank, a.length / rank], a),
    floats(adapterB(layer), [b.length / rank, rank], b),
    ...(magnitude ? [floats(adapterMagnitude(layer), [magnitude.length], magnitude)] : []),
  ]);
  const bases = tensors
    .filter(({ name }) => layers.has(name))
    .map((tensor) => ({ ...tensor, name: withoutAdapter(tensor.name) }));
  const untouched = [...tensors, ...adapters].map(
    ({ name }): TensorToWrite => ({ name: updatesTensor(name), dtype: 'I32', shape: [1], data: new Uint8Array(4) }),
  );
  return [...adapters, ...bases, floats(scaleTensor, [1], Float32Array.of(lora.alpha / lora.rank)), ...untouched];
}
