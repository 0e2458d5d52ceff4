import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../runtime/disk.ts';
import { type GraphBuilder, type Weight, weightBytes } from './graph.ts';
import { fields, graphHead, lengthPrefix, modelHead, type Place, tensorHead } from './proto.ts';

/** Of a protobuf message, and of what a browser takes as one piece. */
export const largestFile = 2 ** 31 - 1;

export interface WrittenModel {
  readonly file: string;
  readonly bytes: number;
  /** Files of weights beside it; none where all is in one. */
  readonly data: readonly string[];
}

export interface WriteOptions {
  /** Version of the program. */
  readonly producer: string;
  readonly largest?: number;
}

/** Weights smaller than this stay with the graph, where they cost no padding. */
const smallest = 1024;
/** Readers map files into memory by pages. */
const page = 4096;

/**
 * Writes a graph as `file` below `folder`, weight by weight. Protobuf ends at 2 GB: a model that would be larger has its
 * weights in `<file>_data`, `<file>_data_1` and so on, as transformers.js looks for them.
 */
export async function writeModel(
  folder: string,
  file: string,
  g: GraphBuilder,
  { producer, largest = largestFile }: WriteOptions,
): Promise<WrittenModel> {
  const weights = [...g.weights.values()];
  const inline = layOut(g, file, producer, new Map());
  if (inline.bytes <= largest) {
    await write(join(folder, file), inline.chunks());
    return { file, bytes: inline.bytes, data: [] };
  }
  const places = inFiles(weights, `${file}_data`, largest);
  const data = [...new Set([...places.values()].map(({ location }) => location))];
  for (const location of data)
    await write(
      join(folder, location),
      padded(
        weights.flatMap((weight) =>
          places.get(weight)?.location === location ? { weight, place: places.get(weight)! } : [],
        ),
      ),
    );
  const { bytes, chunks } = layOut(g, file, producer, places);
  await write(join(folder, file), chunks());
  return { file, bytes: [...places.values()].reduce((sum, { length }) => sum + length, bytes), data };
}

/** How a model is written: what comes first, and each weight behind what says how long it is. */
function layOut(g: GraphBuilder, name: string, producer: string, places: ReadonlyMap<Weight, Place>) {
  const head = graphHead(name.replace(/\.onnx$/, ''), g.nodes, g.inputs, g.outputs);
  const initializers = [...g.weights.values()].map((weight) => {
    const place = places.get(weight);
    const own = tensorHead(weight.name, weight.type, weight.shape, place);
    const size = place ? 0 : weightBytes(weight);
    const raw = place ? new Uint8Array() : lengthPrefix(fields.rawData, size);
    const length = own.length + raw.length + size;
    return { weight, place, before: Buffer.concat([lengthPrefix(fields.initializer, length), own, raw]), size };
  });
  const graphBytes = initializers.reduce((sum, { before, size }) => sum + before.length + size, head.length);
  const start = modelHead(g.opset, producer);
  // Lengths beyond what protobuf has are only added up, never written.
  const prefix = lengthPrefix(fields.graph, Math.min(graphBytes, largestFile));
  return {
    bytes: start.length + prefix.length + graphBytes,
    async *chunks() {
      yield Buffer.concat([start, prefix, head]);
      for (const { weight, place, before, size } of initializers) {
        yield before;
        if (!place) yield* whole(weight, size);
      }
    },
  };
}

/** The numbers of a weight, which must be as many as its shape says. */
async function* whole(weight: Weight, size: number): AsyncGenerator<Uint8Array> {
  let done = 0;
  for await (const chunk of weight.data()) {
    done += chunk.length;
    yield chunk;
  }
  if (done !== size) throw new TypeError(`weight ${weight.name} of shape [${weight.shape}] has ${done} bytes`);
}

/** Large weights one after another, in files that are no larger than one may be. */
function inFiles(weights: readonly Weight[], name: string, largest: number): Map<Weight, Place> {
  const places = new Map<Weight, Place>();
  let [number, end] = [0, 0];
  for (const weight of weights) {
    const length = weightBytes(weight);
    if (length < smallest) continue;
    let offset = Math.ceil(end / page) * page;
    if (end > 0 && offset + length > largest) [number, offset] = [number + 1, 0];
    places.set(weight, { location: number === 0 ? name : `${name}_${number}`, offset, length });
    end = offset + length;
  }
  return places;
}

async function* padded(own: readonly { readonly weight: Weight; readonly place: Place }[]): AsyncGenerator<Uint8Array> {
  let end = 0;
  for (const { weight, place } of own) {
    if (place.offset > end) yield new Uint8Array(place.offset - end);
    yield* whole(weight, place.length);
    end = place.offset + place.length;
  }
}

async function write(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    const file = await open(path, 'w');
    try {
      for await (const chunk of chunks) await file.writeFile(chunk);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw diskError(error, path);
  }
}
