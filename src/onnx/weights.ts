import { RunnerError } from '../runtime/errors.ts';
import { largestFloat16, toFloat16 } from '../safetensors/float-bytes.ts';
import type { TensorToWrite } from '../safetensors/safetensors.ts';
import type { FloatKind, GraphBuilder, Weight } from './graph.ts';

/**
 * The parameters of a model as weights of a graph. A linear layer's is (in, out) there, as exporters of PyTorch write it and
 * as quantizers look for it, so it is turned over on the way: one tensor is in memory at a time, and tables not even whole.
 */
export class Weights {
  readonly #tensors: ReadonlyMap<string, TensorToWrite>;

  constructor(tensors: readonly TensorToWrite[]) {
    this.#tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  }

  /** A tensor as it is. */
  plain(g: GraphBuilder, name: string, type: FloatKind = g.float): string {
    const tensor = this.#named(name);
    return g.weight({ name, type, shape: tensor.shape, data: () => asType(name, chunksOf(tensor), type) });
  }

  /** (out, in) as (in, out), or `count` of its rows from `first` on. */
  transposed(g: GraphBuilder, name: string, rows?: Rows): string {
    const { shape } = this.#named(name);
    const [output, input] = [rows?.count ?? shape[0]!, shape[1]!];
    return this.made(g, `${name}${partOf(rows)}.T`, [input, output], [name], (values) =>
      turned(cut(values, rows, input), output, input),
    );
  }

  /** `count` numbers of a vector from `first` on. */
  part(g: GraphBuilder, name: string, rows: Rows): string {
    return this.made(g, `${name}${partOf(rows)}`, [rows.count], [name], (values) => cut(values, rows, 1));
  }

  /** What `make` makes of the numbers of some tensors. */
  made(
    g: GraphBuilder,
    name: string,
    shape: readonly number[],
    from: readonly string[],
    make: (...values: Float32Array[]) => Float32Array,
  ): string {
    const tensors = from.map((one) => this.#named(one));
    const type = g.float;
    async function* data() {
      const values: Float32Array[] = [];
      for (const tensor of tensors) values.push(await valuesOf(tensor));
      yield new Uint8Array(make(...values).buffer);
    }
    return g.weight({ name, type, shape, data: () => asType(name, data(), type) } satisfies Weight);
  }

  #named(name: string): TensorToWrite {
    const tensor = this.#tensors.get(name);
    if (!tensor) throw new Error(`the model has no parameter ${name}`);
    return tensor;
  }
}

interface Rows {
  readonly first: number;
  readonly count: number;
}

const partOf = (rows: Rows | undefined) => (rows ? `[${rows.first}:${rows.first + rows.count}]` : '');
const cut = (values: Float32Array, rows: Rows | undefined, width: number) =>
  rows ? values.slice(rows.first * width, (rows.first + rows.count) * width) : values;

export async function* chunksOf({ data }: TensorToWrite): AsyncGenerator<Uint8Array> {
  if (data instanceof Uint8Array) yield data;
  else yield* data();
}

async function valuesOf(tensor: TensorToWrite): Promise<Float32Array> {
  const values = new Float32Array(tensor.shape.reduce((a, b) => a * b, 1));
  const bytes = new Uint8Array(values.buffer);
  let done = 0;
  for await (const chunk of chunksOf(tensor)) {
    bytes.set(chunk, done);
    done += chunk.length;
  }
  return values;
}

/** (rows, columns) -> (columns, rows), in squares that stay in the cache. */
function turned(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  const side = 32;
  for (let top = 0; top < rows; top += side)
    for (let left = 0; left < columns; left += side)
      for (let i = top; i < Math.min(rows, top + side); i++)
        for (let j = left; j < Math.min(columns, left + side); j++) out[j * rows + i] = values[i * columns + j]!;
  return out;
}

async function* asType(name: string, chunks: AsyncIterable<Uint8Array>, type: FloatKind): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) {
    if (type === 'f32') {
      yield chunk;
      continue;
    }
    const halves = toFloat16(chunk);
    if (halves === null)
      throw new RunnerError(
        'RecipeInvalid',
        `tensor ${name} has a number beyond ${largestFloat16}, the largest of float16; leave --dtype f16 out`,
      );
    yield halves;
  }
}
