import { RunnerError } from '../../runtime/errors.ts';
import { canonicalJson, sha256 } from '../../runtime/hash.ts';
import { type RemoteShard, readRange, type ShardStore } from './part-reader.ts';
import type { IndexedShard, WeightShard } from './types.ts';

/**
 * What a filter says of one data shard, as an object of the bucket, little-endian:
 *
 *     "siglip2w", uint32 version, uint32 bytes of the header
 *     header: JSON, see WeightHeader
 *     float32 weight of every example, in the order of the shard's index
 *
 * A weight is the share of times that an example is kept: 0 leaves it out, 1 keeps it. The same filter of the same shard has
 * the same bytes.
 */
const magic = 'siglip2w';
const version = 1;
const before = magic.length + 8;
export const weightBytes = 4;

/** A header names one shard and some reasons. */
const largestHeader = 64 * 1024;

export interface WeightHeader {
  /** The data shard: weights belong to the examples of these bytes alone. */
  readonly shard: Pick<IndexedShard, 'key' | 'bytes' | 'etag'>;
  /** sha256 of everything else that the weights depend on. */
  readonly filter: string;
  readonly examples: number;
  /** Sum of the weights. */
  readonly kept: number;
  /** Examples that are left out, by the step of the filter and its reason. */
  readonly masked: Readonly<Record<string, number>>;
  /** Examples that can't be used: they are kept, for training to skip and count. */
  readonly broken: number;
  /** sha256 of the weights. */
  readonly body: string;
}

export function encodeWeights(header: Omit<WeightHeader, 'body' | 'examples' | 'kept'>, weights: Float32Array): Buffer {
  const body = Buffer.alloc(weights.length * weightBytes);
  let kept = 0;
  for (const [i, weight] of weights.entries()) {
    body.writeFloatLE(weight, i * weightBytes);
    kept += weight;
  }
  const json = Buffer.from(canonicalJson({ ...header, examples: weights.length, kept, body: sha256(body) }));
  const head = Buffer.alloc(before);
  head.write(magic, 'latin1');
  head.writeUInt32LE(version, 8);
  head.writeUInt32LE(json.length, 12);
  return Buffer.concat([head, json, body]);
}

/** The header of an object that begins so, and where its weights begin; null where it is none of ours, or cut short. */
export function weightHeader(
  start: Buffer,
  bytes: number,
): { readonly header: WeightHeader; readonly offset: number } | null {
  if (start.length < before || start.toString('latin1', 0, magic.length) !== magic) return null;
  const [found, length] = [start.readUInt32LE(8), start.readUInt32LE(12)];
  const offset = before + length;
  if (found !== version || length > largestHeader || offset > start.length) return null;
  try {
    const header = JSON.parse(start.toString('utf8', before, offset)) as WeightHeader;
    return offset + header.examples * weightBytes === bytes ? { header, offset } : null;
  } catch {
    return null;
  }
}

/** Every weight of an object that was read whole. DataContract where it is damaged. */
export function decodeWeights(object: Buffer, key: string): WeightHeader & { readonly weights: Float32Array } {
  const found = weightHeader(object, object.length);
  if (!found || sha256(object.subarray(found.offset)) !== found.header.body) throw damaged(key);
  return { ...found.header, weights: weightsIn(object.subarray(found.offset)) };
}

/** Weights as they lie in the file. */
export function weightsIn(bytes: Buffer): Float32Array {
  return Float32Array.from({ length: bytes.length / weightBytes }, (_, i) => bytes.readFloatLE(i * weightBytes));
}

/** Reads the header of weights in the bucket. DataContract where they are damaged. */
export async function readWeightHeader(store: ShardStore, file: RemoteShard): Promise<WeightShard & WeightHeader> {
  const start = await readRange(store, file, 0, Math.min(file.bytes, before + largestHeader));
  const found = weightHeader(start, file.bytes);
  if (!found) throw damaged(file.key);
  const { header, offset } = found;
  const { key, bytes, etag } = file;
  return { ...header, key, bytes, etag, offset, sha256: header.body };
}

const damaged = (key: string) =>
  new RunnerError('DataContract', `${key} is damaged: it is no file of weights; delete it, and make the filter again`);
