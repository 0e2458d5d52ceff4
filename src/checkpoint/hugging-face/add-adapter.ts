import { chunksOf, type TensorToWrite } from '../../safetensors/safetensors.ts';
import type { LayerAdapter } from './read-adapter.ts';

/** Weights with adapters added, W + scale B A, a few rows at a time; sums are made in double precision, as no order is then seen. */
export function addAdapter(
  tensors: readonly TensorToWrite[],
  layers: ReadonlyMap<string, LayerAdapter>,
): TensorToWrite[] {
  return tensors.map((tensor) => {
    const found = layers.get(tensor.name);
    return found ? { ...tensor, data: () => added(tensor, found) } : tensor;
  });
}

async function* added({ data, shape }: TensorToWrite, adapter: LayerAdapter): AsyncGenerator<Uint8Array> {
  const width = shape[1]!;
  const sum = new Float64Array(width);
  let at = 0;
  for await (const chunk of chunksOf(data)) {
    const values = new Float32Array(chunk.slice().buffer);
    // A chunk may begin and end within a row.
    for (let i = 0; i < values.length; i++, at++) {
      const column = at % width;
      if (column === 0 || i === 0) rowOf(adapter, Math.floor(at / width), sum);
      values[i] = values[i]! + sum[column]!;
    }
    yield new Uint8Array(values.buffer);
  }
}

function rowOf({ rank, scale, a, b }: LayerAdapter, row: number, sum: Float64Array): void {
  sum.fill(0);
  for (let k = 0; k < rank; k++) {
    const factor = scale * b[row * rank + k]!;
    const start = k * sum.length;
    for (let j = 0; j < sum.length; j++) sum[j] = sum[j]! + factor * a[start + j]!;
  }
}
