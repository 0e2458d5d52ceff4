import type { ReadSettings } from '../../recipe/reading.ts';
import { canonicalJson, sha256 } from '../../runtime/hash.ts';
import type { IndexedShard, Mapping, RegionShard } from '../index/types.ts';
import { decodeBits, encodeBits } from './shard-bits.ts';
import { tokenizerHash } from './tokenizer.ts';

/**
 * The token ids that texts about the examples of one shard can hold, one bit an id. The version rises with how texts are
 * read, worded, cut and turned into tokens.
 */
export const tokenSetKind = { magic: 'siglip2t', version: 1 };

/** One bit an id; ids of Gemma are below 256,000. */
const idBytes = 256_000 / 8;

/** What of the texts is looked at. */
export interface TextSettings {
  /** `other`: any. */
  readonly languages: readonly string[];
  /** Whether a decoder says texts and regions too. */
  readonly captioning: boolean;
  /** Whether texts that are named as wrong are met too. */
  readonly negatives?: boolean | undefined;
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
  { languages, captioning, negatives, read: settings }: TextSettings,
): string {
  const how = {
    languages: languages.includes('other') ? null : [...new Set(languages)].sort(),
    captioning,
    // Sets of before are what they were.
    ...(negatives && { negatives }),
    templates: settings?.templates ?? null,
    fields: settings?.fields?.map(({ templates }) => templates ?? null) ?? null,
  };
  const found = captioning && regions ? [regions.key, regions.bytes, regions.etag] : null;
  const named = canonicalJson([
    'tokens',
    tokenSetKind.version,
    tokenizerHash(),
    key,
    bytes,
    etag,
    read ?? null,
    found,
    how,
  ]);
  return `indexes/${sha256(named)}.tokens`;
}

/** The same set gives the same bytes: at most 32 KB, and a few KB of most shards. */
export const encodeTokenSet = (shard: IndexedShard, { bits }: TokenSet): Buffer =>
  encodeBits(tokenSetKind, shard, bits);

/** Null where it is damaged, or no set of this shard. */
export function decodeTokenSet(object: Buffer, shard: IndexedShard): TokenSet | null {
  const bits = decodeBits(tokenSetKind, object, shard, idBytes);
  return bits && new TokenSet(bits);
}
