import pMap from 'p-map';
import { unlessCorrupt } from '../data/example/corrupt-example.ts';
import { decodeInTurn } from '../data/example/decode-in-turn.ts';
import { checkSizes, readMeta } from '../data/example/example.ts';
import type { ExampleMeta } from '../data/example/types.ts';
import { bytesOfPiece, nearPieces } from '../data/index/near-pieces.ts';
import type { RemoteShard, ShardStore } from '../data/index/part-reader.ts';
import type { ByteRange, ExampleEntry, Mapping } from '../data/index/types.ts';
import { type Fingerprint, fingerprint } from '../data/near/fingerprint.ts';
import type { Hashed } from '../packing/hash-file.ts';
import { canonicalJson, sha256 } from '../runtime/hash.ts';
import type { Verdicts } from './verdicts.ts';

/** Examples that lie close together are read in pieces of this size at most. */
const pieceBytes = 8 * 1024 * 1024;
/** Pictures that are decoded side by side. */
const atOnce = 4;

export interface ShardToLook {
  readonly shard: RemoteShard;
  readonly entries: readonly ExampleEntry[];
  readonly read: Mapping | undefined;
  /** Global number of the first example. */
  readonly first: number;
  /** Whether pictures are wanted, or texts alone. */
  readonly pictures: boolean;
}

/**
 * Reads the examples of a shard that remain, has `say` look at each, and answers with the fingerprints of the pictures that
 * remain after that, in their order. What can't be used is marked so. Some megabytes are in memory, and what is answered.
 */
export async function lookAtShard(
  store: ShardStore,
  { shard, entries, read, first, pictures }: ShardToLook,
  verdicts: Verdicts,
  say: (example: number, meta: ExampleMeta) => void,
  onRead: (examples: number) => void,
): Promise<Hashed[]> {
  const hashed: Hashed[] = [];
  const numbered = new Map(entries.map((entry, i) => [entry, i]));
  const wanted = entries.filter((_, i) => verdicts.remains(i));
  const membersOf = ({ image, meta, class: of }: ExampleEntry) => (pictures ? [image, meta, of] : [meta, of]);
  for (const piece of nearPieces(wanted, pieceBytes, membersOf)) {
    const bytesOf = await bytesOfPiece(store, shard, piece, pieceBytes);
    const look = async (entry: ExampleEntry) => {
      const i = numbered.get(entry)!;
      const meta = await metaOf(entry, read, bytesOf);
      if (!meta) return null;
      say(i, meta);
      if (!pictures || !verdicts.remains(i)) return { meta };
      const print = await printOf(entry, bytesOf);
      return print && { meta, print };
    };
    const found = await pMap(piece.entries, look, { concurrency: atOnce });
    for (const [at, one] of found.entries()) {
      const i = numbered.get(piece.entries[at]!)!;
      if (one === null) verdicts.break(i);
      else if ('print' in one) hashed.push({ ...one.print!, id: first + i, text: textOf(one.meta) });
    }
    onRead(found.length);
  }
  return hashed;
}

/** Of texts so many bits tell them apart, of pictures that are near one another. */
const textOf = ({ captions }: ExampleMeta) => Number.parseInt(sha256(canonicalJson(captions)).slice(0, 8), 16);

type Read = (range: ByteRange) => Promise<Buffer>;

const metaOf = (entry: ExampleEntry, read: Mapping | undefined, bytesOf: Read): Promise<ExampleMeta | null> =>
  unlessCorrupt(async () => {
    checkSizes(entry, read);
    return readMeta(entry, read, bytesOf);
  });

const printOf = (entry: ExampleEntry, bytesOf: Read): Promise<Fingerprint | null> =>
  unlessCorrupt(async () => fingerprint(await decodeInTurn(await bytesOf(entry.image))));
