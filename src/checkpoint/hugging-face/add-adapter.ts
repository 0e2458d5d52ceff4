import { chunksOf, type TensorToWrite } from '../../safetensors/safetensors.ts';
import type { LayerAdapter } from './read-adapter.ts';

/**
 * Weights with adapters added, W + scale B A, and their rows scaled to `magnitude` where there is one, a few rows at a time; sums
 * are made in double precision, as no order is then seen.
 */
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
  let row = 0;
  for await (const values of wholeRows(chunksOf(data), width)) {
    for (let start = 0; start < values.length; start += width, row++) {
      rowOf(adapter, row, sum);
      let squares = 0;
      for (let j = 0; j < width; j++) {
        sum[j] = sum[j]! + values[start + j]!;
        squares += sum[j]! * sum[j]!;
      }
      const gain = adapter.magnitude && squares > 0 ? adapter.magnitude[row]! / Math.sqrt(squares) : 1;
      for (let j = 0; j < width; j++) values[start + j] = sum[j]! * gain;
    }
    yield new Uint8Array(values.buffer);
  }
}

/** Chunks that begin and end where rows of `width` numbers in F32 do. */
async function* wholeRows(
  chunks: ReturnType<typeof chunksOf>,
  width: number,
): AsyncGenerator<Float32Array<ArrayBuffer>> {
  const rowBytes = 4 * width;
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of chunks) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = bytes.length - (bytes.length % rowBytes);
    if (whole > 0) yield new Float32Array(Uint8Array.from(bytes.subarray(0, whole)).buffer);
    rest = bytes.slice(whole);
  }
}

/** A row of scale B A. */
function rowOf({ rank, scale, a, b }: LayerAdapter, row: number, sum: Float64Array): void {
  sum.fill(0);
  for (let k = 0; k < rank; k++) {
    const factor = scale * b[row * rank + k]!;
    const start = k * sum.length;
    for (let j = 0; j < sum.length; j++) sum[j] = sum[j]! + factor * a[start + j]!;
  }
}
