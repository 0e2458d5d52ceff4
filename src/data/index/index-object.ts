import { RunnerError } from '../../runtime/errors.ts';
import { canonicalJson, sha256 } from '../../runtime/hash.ts';
import { classExtension, metaExtension } from './members.ts';
import { type FurtherMembers, PackedEntries, packEntries, packedBytes } from './packed-entries.ts';
import {
  type CorruptMember,
  type ExampleEntry,
  type IndexedShard,
  type MemberMapping,
  type PixelKind,
  pixelKinds,
  type ShardEntries,
} from './types.ts';

/**
 * The index of one shard as an object of the bucket, little-endian:
 *
 *     "siglip2i", uint32 version, uint32 bytes of the header, sha256 of the header
 *     header: JSON, see IndexHeader
 *     list: JSON, [name, reason] of members that can't be used, the first ones
 *     entries: see packed-entries.ts
 *
 * The header has the hash of all that follows it, so the hash of what comes before the list stands for the whole object, and
 * who wants counts alone reads no more than the header. The same shard gives the same bytes.
 */
const magic = 'siglip2i';
const version = 1;
const hashAt = magic.length + 8;
const before = hashAt + 32;

/** A header names one shard and some kinds of files: more than this is none of ours. */
export const largestHeader = 64 * 1024;

/** Of the members of one shard that can't be used so many are named, and all are counted. */
const mostListed = 1000;
const mostListedBytes = 256 * 1024;

/** Which members an example is made of: all of a mapping that an index depends on. */
export interface MemberKinds {
  readonly meta: string;
  readonly class?: string;
  /** Members with a value a pixel; absent, and so of no weight in any key or hash, where none are asked for. */
  readonly pixels?: readonly PixelKind[];
}

export interface IndexHeader {
  readonly shard: IndexedShard;
  readonly members: MemberKinds;
  readonly examples: number;
  readonly corrupt: number;
  /** Files of the shard by their endings, most first. */
  readonly kinds: readonly (readonly [kind: string, files: number])[];
  /** Bytes of the list and of the names. */
  readonly list: number;
  readonly names: number;
  /** sha256 of all behind the header. */
  readonly body: string;
}

export function memberKinds(read: MemberMapping | undefined, pixels: readonly PixelKind[] = []): MemberKinds {
  const of = classExtension(read);
  const asked = pixelKinds.filter((kind) => pixels.includes(kind));
  return {
    meta: metaExtension(read),
    ...(of !== undefined && { class: of }),
    ...(asked.length > 0 && { pixels: asked }),
  };
}

const furtherOf = ({ class: of, pixels = [] }: MemberKinds): FurtherMembers => ({ class: of !== undefined, pixels });

/** Where the index of a shard lies: by all that it depends on, so that it is found as long as that is so. */
export function indexKey({ key, bytes, etag }: IndexedShard, members: MemberKinds): string {
  return `indexes/${sha256(canonicalJson([version, key, bytes, etag, members]))}.index`;
}

/** What an index is made of. */
export interface ShardContents {
  readonly shard: IndexedShard;
  readonly members: MemberKinds;
  readonly kinds: IndexHeader['kinds'];
  readonly examples: readonly ExampleEntry[];
  readonly corrupt: readonly CorruptMember[];
}

export function encodeIndex({ shard, members, kinds, examples, corrupt }: ShardContents): Buffer {
  const list = Buffer.from(JSON.stringify(listed(corrupt)));
  const entries = packEntries(examples, furtherOf(members));
  const body = Buffer.concat([list, entries.bytes]);
  const { key, bytes, etag, sha256: whole } = shard;
  const header: IndexHeader = {
    shard: { key, bytes, etag, ...(whole !== undefined && { sha256: whole }) },
    ...{ members, kinds, examples: examples.length, corrupt: corrupt.length },
    ...{ list: list.length, names: entries.names, body: sha256(body) },
  };
  const json = Buffer.from(canonicalJson(header));
  const head = Buffer.alloc(before);
  head.write(magic, 'latin1');
  head.writeUInt32LE(version, 8);
  head.writeUInt32LE(json.length, 12);
  head.write(sha256(json), hashAt, 'hex');
  return Buffer.concat([head, json, body]);
}

function listed(corrupt: readonly CorruptMember[]): [string, string][] {
  const list: [string, string][] = [];
  let bytes = 0;
  for (const { name, reason } of corrupt.slice(0, mostListed)) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(reason);
    if (bytes > mostListedBytes) break;
    list.push([name, reason]);
  }
  return list;
}

/** An index that was read as far as its header. */
export interface ReadHeader {
  readonly header: IndexHeader;
  /** Bytes before the list, their hash, and bytes of the whole object. */
  readonly start: number;
  readonly sha256: string;
  readonly bytes: number;
}

/** Bytes of the header of an object that begins so; null where it is none of ours. */
export function headerBytes(start: Buffer): number | null {
  if (start.length < before || start.toString('latin1', 0, magic.length) !== magic) return null;
  const length = start.readUInt32LE(12);
  return start.readUInt32LE(8) === version && length <= largestHeader ? before + length : null;
}

/** Reads the header of the index of a shard; null where it is damaged, or of something else. */
export function readHeader(start: Buffer, shard: IndexedShard, members: MemberKinds): ReadHeader | null {
  const end = headerBytes(start);
  if (end === null || end > start.length) return null;
  const json = start.subarray(before, end);
  if (sha256(json) !== start.toString('hex', hashAt, before)) return null;
  const header = JSON.parse(json.toString('utf8')) as IndexHeader;
  const counts = [header.examples, header.corrupt, header.list, header.names];
  const fits =
    counts.every((count) => Number.isSafeInteger(count) && count >= 0) &&
    canonicalJson(header.members) === canonicalJson(members) &&
    header.shard.key === shard.key &&
    header.shard.bytes === shard.bytes &&
    header.shard.etag === shard.etag;
  if (!fits) return null;
  const packed = packedBytes(header.examples, header.names, furtherOf(members));
  const bytes = end + header.list + packed;
  return { header, start: end, sha256: sha256(start.subarray(0, end)), bytes };
}

/** The shard that the index is of which begins so; null where it is none of this version, or damaged. */
export function shardOfIndex(start: Buffer): IndexedShard | null {
  const end = headerBytes(start);
  if (end === null || end > start.length) return null;
  const json = start.subarray(before, end);
  if (sha256(json) !== start.toString('hex', hashAt, before)) return null;
  return (JSON.parse(json.toString('utf8')) as IndexHeader).shard;
}

/** Members of a shard that can't be used, of the bytes of its list. */
export function readList(list: Buffer, { shard: { key } }: IndexHeader): CorruptMember[] {
  const pairs = JSON.parse(list.toString('utf8')) as [string, string][];
  return pairs.map(([name, reason]) => ({ shard: key, name, reason }));
}

/** The entries of a whole object; null where it is not the one whose header has this hash. */
export function readEntries(
  object: Buffer,
  shard: IndexedShard,
  members: MemberKinds,
  wanted: string,
): (ShardEntries & { readonly bytes: number }) | null {
  const read = readHeader(object, shard, members);
  if (!read || read.sha256 !== wanted || read.bytes !== object.length) return null;
  const { header, start } = read;
  if (sha256(object.subarray(start)) !== header.body) return null;
  const packed = object.subarray(start + header.list);
  return new PackedEntries(packed, header.examples, furtherOf(members));
}

/** What is made of a shard now is not what a run was planned with, and what was is gone. */
export const indexLost = (bucket: string, key: string, shard: string) =>
  new RunnerError(
    'DataContract',
    `s3://${bucket}/${key}, the index of ${shard}, is damaged or gone, and this release makes another one; cancel the run and start it again with the same recipe and --workflow-id, which plans it anew`,
    { details: { object: key } },
  );
