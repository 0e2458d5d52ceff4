import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { ReadSettings } from '../../recipe/reading.ts';
import { canonicalJson, sha256 } from '../../runtime/hash.ts';
import { isRecord } from '../../runtime/json-text.ts';
import type { IndexedShard, Mapping, RegionShard } from '../index/types.ts';
import { tokenizerHash } from './tokenizer.ts';

/**
 * The token ids that texts about the examples of one shard can hold, as an object of the bucket, little-endian:
 *
 *     "siglip2t", uint32 version, uint32 bytes of the header
 *     header: JSON, {"shard": {"key", "bytes", "etag"}, "ids": sha256 of the bits}
 *     one bit an id, deflated: at most 32 KB, and a few KB of most shards
 */
const magic = 'siglip2t';
/** Rises with whatever changes which ids a shard comes to: how texts are read, worded, cut and turned into tokens. */
const version = 1;
const before = magic.length + 8;
const largestHeader = 16 * 1024;

/** One bit an id; ids of Gemma are below 256,000. */
const idBytes = 256_000 / 8;

/** What of the texts is looked at. */
export interface TextSettings {
  /** `other`: any. */
  readonly languages: readonly string[];
  /** Whether a decoder says texts and regions too. */
  readonly captioning: boolean;
  /** As the recipe has it, with the templates that texts are put into. */
  readonly read?: ReadSettings | undefined;
}

/** A set of token ids. */
export class TokenSet {
  /** One bit an id. */
  readonly bits: Uint8Array;

  constructor(bits = new Uint8Array(idBytes)) {
    this.bits = bits;
  }

  add(id: number): void {
    this.bits[id >> 3]! |= 1 << (id & 7);
  }

  join({ bits }: TokenSet): void {
    for (let i = 0; i < idBytes; i++) this.bits[i]! |= bits[i]!;
  }

  /** Ascending. */
  get ids(): number[] {
    const ids: number[] = [];
    for (let i = 0; i < idBytes; i++)
      for (let bit = 0; this.bits[i]! >> bit !== 0; bit++) if (this.bits[i]! & (1 << bit)) ids.push(8 * i + bit);
    return ids;
  }
}

/**
 * Where the set of a shard lies: by all that it depends on, so that any run finds it as long as that is so.
 * @param read how the members of the shard are read
 * @param regions the file of what a detector found in it, where a decoder says that too
 */
export function tokenSetKey(
  { key, bytes, etag }: IndexedShard,
  read: Mapping | undefined,
  regions: Pick<RegionShard, 'key' | 'bytes' | 'etag'> | null,
  { languages, captioning, read: settings }: TextSettings,
): string {
  const how = {
    languages: languages.includes('other') ? null : [...new Set(languages)].sort(),
    captioning,
    templates: settings?.templates ?? null,
    fields: settings?.fields?.map(({ templates }) => templates ?? null) ?? null,
  };
  const found = captioning && regions ? [regions.key, regions.bytes, regions.etag] : null;
  const named = canonicalJson(['tokens', version, tokenizerHash(), key, bytes, etag, read ?? null, found, how]);
  return `indexes/${sha256(named)}.tokens`;
}

/** The same set gives the same bytes. */
export function encodeTokenSet({ key, bytes, etag }: IndexedShard, { bits }: TokenSet): Buffer {
  const json = Buffer.from(canonicalJson({ shard: { key, bytes, etag }, ids: sha256(bits) }));
  const head = Buffer.alloc(before);
  head.write(magic, 'latin1');
  head.writeUInt32LE(version, 8);
  head.writeUInt32LE(json.length, 12);
  return Buffer.concat([head, json, deflateRawSync(bits)]);
}

/** Null where it is damaged, or no set of this shard. */
export function decodeTokenSet(object: Buffer, { key, bytes, etag }: IndexedShard): TokenSet | null {
  const header = headerOf(object);
  if (!header || canonicalJson(header.shard) !== canonicalJson({ key, bytes, etag })) return null;
  try {
    const bits = inflateRawSync(object.subarray(header.end), { maxOutputLength: idBytes });
    return bits.length === idBytes && sha256(bits) === header.ids ? new TokenSet(bits) : null;
  } catch {
    return null;
  }
}

/** The shard that the set is of which begins so; null where it is none of this version. */
export const shardOfTokenSet = (start: Buffer): IndexedShard | null => headerOf(start)?.shard ?? null;

function headerOf(
  object: Buffer,
): { readonly shard: IndexedShard; readonly ids: unknown; readonly end: number } | null {
  if (object.length < before || object.toString('latin1', 0, 8) !== magic || object.readUInt32LE(8) !== version)
    return null;
  const size = object.readUInt32LE(12);
  if (size > largestHeader || before + size > object.length) return null;
  try {
    const header: unknown = JSON.parse(object.toString('utf8', before, before + size));
    if (!isRecord(header) || !isRecord(header.shard)) return null;
    const { key, etag, bytes } = header.shard;
    if (typeof key !== 'string' || typeof etag !== 'string' || typeof bytes !== 'number') return null;
    return { shard: { key, bytes, etag }, ids: header.ids, end: before + size };
  } catch {
    return null;
  }
}
