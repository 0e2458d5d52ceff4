import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';

export interface Difference {
  readonly tensor: string;
  /** Numbers that are not the same bits. */
  readonly numbers: number;
  readonly of: number;
  /** Largest difference, in units of the largest number of the tensor. */
  readonly largest: number;
}

/** Where other float32 files differ from the first one, the largest difference first; the worst of all files counts. */
export async function largestDifferences(first: string, others: readonly string[]): Promise<Difference[]> {
  const one = await SafetensorsFile.open(first);
  const rest = await Promise.all(others.map((path) => SafetensorsFile.open(path)));
  try {
    const found: Difference[] = [];
    for (const tensor of one.tensors.keys()) {
      const values = new Float32Array((await one.read(tensor)).buffer);
      const scale = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0) || 1;
      let [numbers, largest] = [0, 0];
      for (const file of rest) {
        const other = new Float32Array((await file.read(tensor)).buffer);
        let differ = 0;
        for (const [i, x] of other.entries()) {
          if (Object.is(x, values[i])) continue;
          differ++;
          largest = Math.max(largest, Math.abs(x - values[i]!) / scale);
        }
        numbers = Math.max(numbers, differ);
      }
      if (numbers > 0) found.push({ tensor, numbers, of: values.length, largest });
    }
    return found.sort((a, b) => b.largest - a.largest);
  } finally {
    await Promise.all([one, ...rest].map((file) => file.close()));
  }
}
