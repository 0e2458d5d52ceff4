import { spanOf } from './members.ts';
import { type RemoteShard, readRange, type ShardStore } from './part-reader.ts';
import type { ByteRange, ExampleEntry } from './types.ts';

/** Examples whose members are one request. */
export interface NearPiece {
  readonly entries: readonly ExampleEntry[];
  readonly offset: number;
  readonly size: number;
}

/** Members that are nearer than this are read together. */
const nearBytes = 64 * 1024;

/** Examples in pieces of at most so many bytes, or of one example; `membersOf`: what of an example is read. */
export function* nearPieces(
  entries: readonly ExampleEntry[],
  mostBytes: number,
  membersOf: (entry: ExampleEntry) => readonly (ByteRange | undefined)[],
): Generator<NearPiece> {
  let piece: { entries: ExampleEntry[]; offset: number; size: number } | null = null;
  for (const entry of entries) {
    const { offset, size } = spanOf(membersOf(entry));
    const end = piece === null ? 0 : piece.offset + piece.size;
    if (piece && offset >= piece.offset && offset - end <= nearBytes && offset + size - piece.offset <= mostBytes) {
      piece.entries.push(entry);
      piece.size = Math.max(piece.size, offset + size - piece.offset);
      continue;
    }
    if (piece) yield piece;
    piece = { entries: [entry], offset, size };
  }
  if (piece) yield piece;
}

/** Reads a piece once. What is larger than `mostBytes` has something of any size between its members: each is asked for then. */
export async function bytesOfPiece(
  store: ShardStore,
  shard: RemoteShard,
  { offset: start, size: all }: NearPiece,
  mostBytes: number,
): Promise<(range: ByteRange) => Promise<Buffer>> {
  const bytes = all > mostBytes ? null : await readRange(store, shard, start, all);
  return async ({ offset, size }) =>
    bytes?.subarray(offset - start, offset - start + size) ?? readRange(store, shard, offset, size);
}
