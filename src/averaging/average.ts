import { RunnerError } from '../runtime/errors.ts';
import { chunksOf, type TensorToWrite } from '../safetensors/safetensors.ts';

/** Each share of 1. RecipeInvalid where there are not as many as models, or one is no share. */
export function sharesOf(weights: readonly number[], models: number): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  if (weights.length === models && weights.every((one) => one >= 0 && Number.isFinite(one)) && sum > 0)
    return weights.map((one) => one / sum);
  throw new RunnerError(
    'RecipeInvalid',
    `--weights is ${weights.join(' ')} for ${models} models; allowed: one number of at least 0 for each, not all 0`,
  );
}

/**
 * The mean of tensors of F32 of one name and shape, added up in float64 in the order given and rounded once. What has the
 * share 0 is not read, so that a model whose share is 1 stays as it is, to the bit. A chunk of each is held at a time.
 */
export function averaged(tensors: readonly TensorToWrite[], shares: readonly number[]): TensorToWrite {
  const used = tensors.flatMap((tensor, i) => (shares[i] === 0 ? [] : [{ tensor, share: shares[i]! }]));
  const [first] = used;
  if (used.length === 1 && first!.share === 1) return first!.tensor;
  return {
    ...tensors[0]!,
    async *data() {
      const readers = used.map(({ tensor }) => new FloatReader(tensor));
      for (;;) {
        const sizes: number[] = [];
        for (const reader of readers) sizes.push(await reader.ready());
        const count = Math.min(...sizes);
        if (count === 0) return;
        const sum = new Float64Array(count);
        for (const [k, reader] of readers.entries()) {
          const [values, { share }] = [reader.take(count), used[k]!];
          for (let i = 0; i < count; i++) sum[i]! += share * values[i]!;
        }
        yield new Uint8Array(Float32Array.from(sum).buffer);
      }
    },
  };
}

/** The numbers of a tensor, in pieces of any size: files of other types come in chunks of other sizes. */
class FloatReader {
  readonly #chunks: AsyncGenerator<Uint8Array>;
  #held = new Float32Array();

  constructor(tensor: TensorToWrite) {
    this.#chunks = inTurn(tensor);
  }

  /** How many numbers are there to be taken; 0 at the end. */
  async ready(): Promise<number> {
    while (this.#held.length === 0) {
      const { done, value } = await this.#chunks.next();
      if (done) return 0;
      this.#held = new Float32Array(new Uint8Array(value).buffer);
    }
    return this.#held.length;
  }

  take(count: number): Float32Array {
    const taken = this.#held.subarray(0, count);
    this.#held = this.#held.subarray(count);
    return taken;
  }
}

async function* inTurn({ data }: TensorToWrite): AsyncGenerator<Uint8Array> {
  yield* chunksOf(data);
}
