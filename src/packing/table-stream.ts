import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Decompress } from 'fzstd';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Table } from './types.ts';

/** Endings of tables that are unpacked while they are read. */
export const tableCompressions = ['.gz', '.zst'] as const;
const compressed = /\.(gz|zst)$/i;

/** The name of a table without the ending of its compression, in lower case. */
export const plainName = (key: string): string => key.replace(compressed, '').toLowerCase();

/**
 * The text of a table, of which some kilobytes are held at a time, and of a .zst what its blocks and its window come to.
 * DataContract where a .gz or .zst is damaged or was cut off: what comes before that may be wrong as well, since the
 * checksum of a .gz stands at the end, and that of a .zst is not looked at.
 */
export async function tableStream(store: Pick<ObjectStore, 'stream'>, { key }: Table): Promise<Readable> {
  const stored = await store.stream(key);
  const ending = compressed.exec(key)?.[1]?.toLowerCase();
  if (ending === undefined) return stored;
  return Readable.from(ending === 'gz' ? gunzipped(stored, key) : unpacked(stored, key));
}

async function* gunzipped(stored: Readable, key: string): AsyncGenerator<Buffer> {
  const text = createGunzip();
  // What fails of the two ends the other; the loop below is told.
  pipeline(stored, text, () => {});
  try {
    yield* text as AsyncIterable<Buffer>;
  } catch (error) {
    if (!String((error as { code?: unknown }).code).startsWith('Z_')) throw error;
    throw damaged(key, 'gzip', error as Error);
  }
}

/** A block of four bytes can stand for 128 KiB: so much at once is at most 64 MiB of text. */
const bytesAtOnce = 2048;

/** Node has zstd from 22.15 on. */
async function* unpacked(stored: Readable, key: string): AsyncGenerator<Buffer> {
  let found: Buffer[] = [];
  // What it gives is used again for what comes next.
  const text = new Decompress((chunk) => void found.push(Buffer.from(chunk)));
  function* push(bytes: Uint8Array, last: boolean): Generator<Buffer> {
    try {
      text.push(bytes, last);
    } catch (error) {
      throw damaged(key, 'zstd', error as Error);
    }
    yield* found;
    found = [];
  }
  for await (const chunk of stored as AsyncIterable<Buffer>)
    for (let at = 0; at < chunk.length; at += bytesAtOnce) yield* push(chunk.subarray(at, at + bytesAtOnce), false);
  yield* push(new Uint8Array(), true);
}

const damaged = (key: string, kind: string, { message }: Error) =>
  new RunnerError(
    'DataContract',
    `${key} is no whole ${kind} file (${message}); fetch it again, or take it away from there`,
  );
