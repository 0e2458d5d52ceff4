import * as runtime from 'onnxruntime-node';

export interface Fed {
  readonly type: 'float32' | 'int64';
  readonly data: Float32Array | BigInt64Array;
  readonly shape: readonly number[];
}

export const floats = (data: Float32Array, shape: readonly number[]): Fed => ({ type: 'float32', data, shape });
export const whole = (values: ArrayLike<number>, shape: readonly number[]): Fed => ({
  type: 'int64',
  data: BigInt64Array.from(Array.from(values), BigInt),
  shape,
});

/** What ONNX Runtime answers to one run of a file, by output. */
export async function answers(file: string, feeds: Readonly<Record<string, Fed>>) {
  const session = await runtime.InferenceSession.create(file);
  try {
    const tensors = Object.entries(feeds).map(([name, { type, data, shape }]) => [
      name,
      new runtime.Tensor(type as 'float32', data as Float32Array, shape),
    ]);
    const out = await session.run(Object.fromEntries(tensors));
    return Object.fromEntries(
      Object.entries(out).map(([name, { data, dims }]) => [name, { data: data as Float32Array, shape: [...dims] }]),
    );
  } finally {
    await session.release();
  }
}

/** The largest difference of two lists of numbers. */
export const apart = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  if (a.length !== b.length || a.length === 0) throw new Error(`${a.length} numbers beside ${b.length}`);
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
};

/** The least cosine of rows of two lists. */
export function leastCosine(a: Float32Array, b: Float32Array, width: number): number {
  let least = 1;
  for (let row = 0; row < a.length; row += width) {
    const [x, y] = [a.subarray(row, row + width), b.subarray(row, row + width)];
    const dot = (p: Float32Array, q: Float32Array) => p.reduce((sum, value, i) => sum + value * q[i]!, 0);
    least = Math.min(least, dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y)));
  }
  return least;
}
