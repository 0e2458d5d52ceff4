import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runPrefix } from '../src/checkpoint/keys.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { canonicalJson, sha256 } from '../src/runtime/hash.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Document } from './types.ts';

/** Keeps JSON in the bucket under its own hash: writing it twice is writing it once. */
export async function keepDocument(store: ObjectStore, run: string, name: string, value: unknown): Promise<Document> {
  const text = canonicalJson(value);
  const hash = sha256(text);
  const key = `${runPrefix(run)}data/${name}-${hash.slice(0, 16)}.json`;
  try {
    await store.put(key, text, { ifAbsent: true, contentType: 'application/json' });
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
  }
  return { key, sha256: hash };
}

/** A document of the bucket as a local file, fetched once. DataContract when it is not what was planned. */
export async function fetchDocument(store: ObjectStore, document: Document, folder: string): Promise<string> {
  const file = join(folder, `${document.sha256}.json`);
  const known = await readFile(file).catch(() => null);
  if (known && sha256(known) === document.sha256) return file;
  const bytes = await store.get(document.key);
  if (sha256(bytes) !== document.sha256)
    throw new RunnerError(
      'DataContract',
      `s3://${store.bucket}/${document.key} was changed after the run was planned; start the run under another --workflow-id`,
    );
  await mkdir(folder, { recursive: true });
  // Another attempt of this worker may be fetching it too.
  const part = `${file}.${randomUUID()}.part`;
  await writeFile(part, bytes);
  await rename(part, file);
  return file;
}

export async function readDocumentAs<T>(store: ObjectStore, document: Document, folder: string): Promise<T> {
  return JSON.parse(await readFile(await fetchDocument(store, document, folder), 'utf8')) as T;
}
