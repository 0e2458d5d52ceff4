import { constants } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runPrefix } from '../src/checkpoint/keys.ts';
import { canonicalBytes } from '../src/runtime/canonical-bytes.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { sha256 } from '../src/runtime/hash.ts';
import { lookAgain } from '../src/storage/look-again.ts';
import type { ObjectStore, PutOptions } from '../src/storage/object-store.ts';
import type { Document } from './types/document.ts';

/** Each round ends one write of another: more than a few at once are none of ours. */
const rounds = 5;

/**
 * Keeps JSON in the bucket under its own hash: writing it twice is writing it once. What lies there already is read
 * back, and written anew when it is damaged.
 */
export const keepDocument = (store: ObjectStore, run: string, name: string, value: unknown): Promise<Document> =>
  keepDocumentBelow(store, `${runPrefix(run)}data/`, name, value);

/** As `keepDocument`, of something that belongs to no run. */
export async function keepDocumentBelow(
  store: ObjectStore,
  prefix: string,
  name: string,
  value: unknown,
): Promise<Document> {
  const { bytes: text, sha256: hash } = await canonicalBytes(value);
  if (text.length > constants.MAX_STRING_LENGTH) throw tooLarge(name, text.length);
  const key = `${prefix}${name}-${hash.slice(0, 16)}.json`;
  const write = (condition: PutOptions) => store.put(key, text, { ...condition, contentType: 'application/json' });
  let condition: PutOptions = { ifAbsent: true };
  for (let round = 0; round < rounds; round++) {
    try {
      await write(condition);
      return { key, sha256: hash };
    } catch (error) {
      // Of a damaged one that went meanwhile the condition can't be met: it is written as a new one.
      if (!isRunnerError(error, 'PreconditionFailed') && !isRunnerError(error, 'ObjectMissing')) throw error;
    }
    const found = await store.head(key);
    if (found && (await hashOf(store, key)) === hash) return { key, sha256: hash };
    // None although the write was refused: another writer was in between, and may have failed.
    condition = found ? { ifMatch: found.etag } : { ifAbsent: true };
  }
  throw new RunnerError('StorageUnavailable', `${key} is refused and yet not there; it is tried again later`);
}

/** sha256 of what the store has under a key; null when that is missing, or the store itself calls it damaged. */
async function hashOf(store: ObjectStore, key: string): Promise<string | null> {
  try {
    return sha256(await store.get(key));
  } catch (error) {
    if (isRunnerError(error, 'ObjectMissing') || isRunnerError(error, 'DataContract')) return null;
    throw error;
  }
}

/** Who reads it needs it as one text. */
const tooLarge = (name: string, bytes: number) =>
  new RunnerError(
    'DataContract',
    `data: ${name} would have ${bytes} bytes, and ${constants.MAX_STRING_LENGTH} are possible, about five million examples; train on fewer shards at a time, each part by a run that goes on from the one before`,
  );

/** A document of the bucket as a local file, fetched once. DataContract when it is not what was planned. */
export async function fetchDocument(store: ObjectStore, document: Document, folder: string): Promise<string> {
  const file = join(folder, `${document.sha256}.json`);
  const known = await readFile(file).catch(() => null);
  if (known && sha256(known) === document.sha256) return file;
  const bytes = await lookAgain(() => asPlanned(store, document));
  await mkdir(folder, { recursive: true });
  // Another attempt of this worker may be fetching it too.
  const part = `${file}.${randomUUID()}.part`;
  await writeFile(part, bytes);
  await rename(part, file);
  return file;
}

async function asPlanned(store: ObjectStore, document: Document): Promise<Buffer> {
  const bytes = await store.get(document.key).catch((error) => {
    if (isRunnerError(error, 'ObjectMissing') || isRunnerError(error, 'DataContract'))
      throw notAsPlanned(store, document);
    throw error;
  });
  if (sha256(bytes) !== document.sha256) throw notAsPlanned(store, document);
  return bytes;
}

export async function readDocumentAs<T>(store: ObjectStore, document: Document, folder: string): Promise<T> {
  return JSON.parse(await readFile(await fetchDocument(store, document, folder), 'utf8')) as T;
}

const notAsPlanned = (store: ObjectStore, { key }: Document) =>
  new RunnerError(
    'DataContract',
    `s3://${store.bucket}/${key} is not what was planned: it was changed, damaged or deleted; cancel the run and start it again with the same recipe and --workflow-id, which writes it anew`,
  );
