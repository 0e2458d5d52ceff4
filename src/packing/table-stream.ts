import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Table } from './types.ts';

const gzipped = /\.gz$/i;

/** The name of a table without the ending of its compression, in lower case. */
export const plainName = (key: string): string => key.replace(gzipped, '').toLowerCase();

/**
 * The text of a table, of which some kilobytes are held at a time. DataContract where a .gz is damaged or was cut off: what
 * comes before that may be wrong as well, since its checksum stands at the end.
 */
export async function tableStream(store: Pick<ObjectStore, 'stream'>, { key }: Table): Promise<Readable> {
  const stored = await store.stream(key);
  return gzipped.test(key) ? Readable.from(unzipped(stored, key)) : stored;
}

async function* unzipped(stored: Readable, key: string): AsyncGenerator<Buffer> {
  const text = createGunzip();
  // What fails of the two ends the other; the loop below is told.
  pipeline(stored, text, () => {});
  try {
    yield* text as AsyncIterable<Buffer>;
  } catch (error) {
    if (!String((error as { code?: unknown }).code).startsWith('Z_')) throw error;
    throw new RunnerError(
      'DataContract',
      `${key} is no whole gzip file (${(error as Error).message}); fetch it again, or take it away from there`,
    );
  }
}
