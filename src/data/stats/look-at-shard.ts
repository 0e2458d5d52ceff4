import { createHash } from 'node:crypto';
import pMap from 'p-map';
import { CorruptExample } from '../example/corrupt-example.ts';
import { decodeInTurn } from '../example/decode-in-turn.ts';
import { checkSizes, readMeta } from '../example/example.ts';
import { imageFormat } from '../example/image-format.ts';
import { bytesOfPiece, nearPieces } from '../index/near-pieces.ts';
import type { RemoteShard, ShardStore } from '../index/part-reader.ts';
import type { ByteRange, ExampleEntry, Mapping } from '../index/types.ts';
import { fingerprint } from '../near/fingerprint.ts';
import { thumbnailOf } from './shown-pictures.ts';
import type { Tally } from './tally.ts';

/** Examples that lie close together are read in pieces of this size at most. */
const pieceBytes = 8 * 1024 * 1024;
/** Examples that are decoded at once. */
const atOnce = 4;

/** Reads and decodes these examples of a shard and adds them to the tally, in their order: some megabytes at a time. */
export async function lookAtShard(
  store: ShardStore,
  shard: RemoteShard & { readonly key: string },
  entries: readonly ExampleEntry[],
  read: Mapping | undefined,
  tally: Tally,
  onRead: (examples: number) => void,
): Promise<void> {
  for (const piece of nearPieces(entries, pieceBytes, ({ image, meta, class: of }) => [image, meta, of])) {
    const bytesOf = await bytesOfPiece(store, shard, piece, pieceBytes);
    const found = await pMap(piece.entries, (entry) => lookAt(shard.key, entry, read, bytesOf, tally), {
      concurrency: atOnce,
    });
    for (const [i, one] of found.entries()) {
      const { name } = piece.entries[i]!;
      if ('reason' in one) tally.refuse({ shard: shard.key, name, reason: one.reason });
      else tally.add(one);
      if ('thumbnail' in one && one.thumbnail) tally.show({ shard: shard.key, name, ...one, thumbnail: one.thumbnail });
    }
    onRead(found.length);
  }
}

async function lookAt(
  shard: string,
  entry: ExampleEntry,
  read: Mapping | undefined,
  bytesOf: (range: ByteRange) => Promise<Buffer>,
  tally: Tally,
) {
  try {
    checkSizes(entry, read);
    const meta = await readMeta(entry, read, bytesOf);
    const file = await bytesOf(entry.image);
    const image = await decodeInTurn(file);
    const { width, height } = image;
    const hash = createHash('sha256').update(file).digest('hex');
    const thumbnail = tally.shown.wants(shard, entry.name) ? await thumbnailOf(image) : null;
    const of = { format: imageFormat(file) ?? 'unknown', bytes: file.length, hash, outline: await fingerprint(image) };
    return { ...of, width, height, meta, thumbnail };
  } catch (error) {
    if (error instanceof CorruptExample) return { reason: error.message };
    throw error;
  }
}
