import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { canonicalJson, sha256 } from '../../runtime/hash.ts';
import { isRecord } from '../../runtime/json-text.ts';
import type { IndexedShard } from '../index/types.ts';

/**
 * Bits that say something of one shard, as an object of the bucket, little-endian:
 *
 *     magic of eight letters, uint32 version, uint32 bytes of the header
 *     header: JSON, {"shard": {"key", "bytes", "etag"}, "bits": their sha256}
 *     the bits, deflated
 */
export interface BitsKind {
  readonly magic: string;
  /** Rises with whatever changes what the bits are. */
  readonly version: number;
}

const before = 16;
const largestHeader = 16 * 1024;

/** The same bits give the same bytes. */
export function encodeBits({ magic, version }: BitsKind, { key, bytes, etag }: IndexedShard, bits: Uint8Array): Buffer {
  const json = Buffer.from(canonicalJson({ shard: { key, bytes, etag }, bits: sha256(bits) }));
  const head = Buffer.alloc(before);
  head.write(magic, 'latin1');
  head.writeUInt32LE(version, 8);
  head.writeUInt32LE(json.length, 12);
  return Buffer.concat([head, json, deflateRawSync(bits)]);
}

/** So many bytes of bits; null where they are damaged, or of another shard. */
export function decodeBits(
  kind: BitsKind,
  object: Buffer,
  { key, bytes, etag }: IndexedShard,
  size: number,
): Uint8Array<ArrayBuffer> | null {
  const header = headerOf(kind, object);
  if (!header || canonicalJson(header.shard) !== canonicalJson({ key, bytes, etag })) return null;
  try {
    const bits = inflateRawSync(object.subarray(header.end), { maxOutputLength: Math.max(size, 1) });
    return bits.length === size && sha256(bits) === header.bits ? new Uint8Array(bits) : null;
  } catch {
    return null;
  }
}

/** The shard that an object is of which begins so; null where it is none of this version. */
export const shardOfBits = (kind: BitsKind, start: Buffer): IndexedShard | null => headerOf(kind, start)?.shard ?? null;

interface BitsHeader {
  readonly shard: IndexedShard;
  readonly bits: unknown;
  readonly end: number;
}

function headerOf({ magic, version }: BitsKind, object: Buffer): BitsHeader | null {
  if (object.length < before || object.toString('latin1', 0, 8) !== magic || object.readUInt32LE(8) !== version)
    return null;
  const size = object.readUInt32LE(12);
  if (size > largestHeader || before + size > object.length) return null;
  try {
    const header: unknown = JSON.parse(object.toString('utf8', before, before + size));
    if (!isRecord(header) || !isRecord(header.shard)) return null;
    const { key, etag, bytes } = header.shard;
    if (typeof key !== 'string' || typeof etag !== 'string' || typeof bytes !== 'number') return null;
    return { shard: { key, bytes, etag }, bits: header.bits, end: before + size };
  } catch {
    return null;
  }
}
