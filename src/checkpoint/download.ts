import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { diskError } from '../runtime/disk.ts';
import { isRunnerError, type RunnerError } from '../runtime/errors.ts';
import { sha256 } from '../runtime/hash.ts';
import { lookAgain } from '../storage/look-again.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { StateFile } from './types.ts';

/** Of a file so many requests are on their way at once, each of at most so many bytes. */
export interface Ranges {
  readonly atOnce: number;
  readonly bytes: number;
  /** How many are held in memory, those that have come before the one that is next included. */
  readonly held: number;
}

const mib = 1024 * 1024;
/** One comes while the one before it is written. */
const oneRange: Ranges = { atOnce: 1, bytes: 8 * mib, held: 1 };
/**
 * For those who wait for nothing else: on a link with loss one connection alone is slow. As many as boto3 and the AWS CLI have. Small,
 * since the last one is waited for; one that is slow does not keep the others from going on.
 */
export const spreadRanges: Ranges = { atOnce: 10, bytes: mib, held: 40 };

/** What is wrong with the object, as the rest of a sentence that begins with its key. */
export type Damaged = (problem: string, cause?: unknown) => RunnerError;

/** What a file is called until it is whole. The hash is in the name: what is left of another checkpoint's file is not gone on from. */
const partOf = (target: string, { sha256 }: Pick<StateFile, 'sha256'>): string =>
  `${target}.${sha256.slice(0, 16)}.part`;

/**
 * Downloads an object to `target`, whose name appears when size and sha256 are right. What a broken download left in
 * its .part file is gone on from. Bytes that are wrong are fetched anew, once: they may be what was left, or one bad
 * answer. One of a single request needs no other to know its version.
 */
export async function downloadFile(
  store: ObjectStore,
  key: string,
  file: StateFile,
  target: string,
  damaged: Damaged,
  signal?: AbortSignal,
  ranges = oneRange,
): Promise<void> {
  await lookAgain(() => download(store, key, file, target, damaged, signal, ranges));
  await removeParts(target);
}

async function download(
  store: ObjectStore,
  key: string,
  file: StateFile,
  target: string,
  damaged: Damaged,
  signal: AbortSignal | undefined,
  ranges: Ranges,
): Promise<void> {
  const part = partOf(target, file);
  await mkdir(dirname(target), { recursive: true });
  const small = file.bytes <= ranges.bytes;
  try {
    const info = small ? await store.small(key, file.bytes) : await store.head(key);
    if (!info) throw damaged('is missing');
    if (info.bytes !== file.bytes) throw damaged(`has ${info.bytes} bytes, and ${file.bytes} were committed`);
    const hash =
      'body' in info
        ? await keep(info.body!, part)
        : await fetchInto(store, key, info.etag, file.bytes, part, signal, ranges);
    if (hash !== file.sha256) {
      await rm(part);
      throw damaged(`has the sha256 ${hash}, and ${file.sha256} was committed`);
    }
    await rename(part, target);
  } catch (error) {
    if (isRunnerError(error, 'ObjectMissing')) throw damaged('is missing', error);
    if (isRunnerError(error, 'DataContract')) throw damaged('changed while it was downloaded', error);
    throw diskError(error, part);
  }
}

async function keep(bytes: Buffer, part: string): Promise<string> {
  const output = await open(part, 'w');
  try {
    await output.writeFile(bytes);
    await output.sync();
  } finally {
    await output.close();
  }
  return sha256(bytes);
}

/** Appends what is missing of the part file and returns the sha256 of all of it. */
async function fetchInto(
  store: ObjectStore,
  key: string,
  etag: string,
  bytes: number,
  part: string,
  signal: AbortSignal | undefined,
  { atOnce, bytes: rangeBytes, held }: Ranges,
): Promise<string> {
  const hash = createHash('sha256');
  let asked = 0;
  const output: FileHandle = await open(part, 'a');
  try {
    let offset = (await output.stat()).size;
    if (offset > bytes) {
      await output.truncate(0);
      offset = 0;
    }
    if (offset > 0)
      for await (const chunk of createReadStream(part, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
    const ranges: { readonly size: number; readonly got: Promise<Buffer> }[] = [];
    asked = offset;
    let running = 0;
    const ask = () => {
      for (; running < atOnce && ranges.length < held && asked < bytes; asked += ranges.at(-1)!.size) {
        const size = Math.min(rangeBytes, bytes - asked);
        running++;
        const got = store.get(key, { offset: asked, size, etag }).finally(() => running--);
        // If it fails while the loop waits for another, the loop meets it; until then it is not unhandled.
        got.then(ask, () => {});
        ranges.push({ size, got });
      }
    };
    ask();
    while (ranges.length > 0) {
      const { size, got } = ranges.shift()!;
      const chunk = await got;
      signal?.throwIfAborted();
      // The hash will tell that bytes are missing.
      if (chunk.length === 0) break;
      if (chunk.length < size) {
        ranges.length = 0;
        asked = offset + chunk.length;
      }
      ask();
      hash.update(chunk);
      await output.appendFile(chunk);
      offset += chunk.length;
    }
    await output.sync();
  } finally {
    // What is on its way still asks for nothing more.
    asked = bytes;
    await output.close();
  }
  return hash.digest('hex');
}

/** What earlier downloads to this name have left. */
async function removeParts(target: string): Promise<void> {
  const parts = /^\.[0-9a-f]{16}\.part$/;
  const name = basename(target);
  for (const found of await readdir(dirname(target)))
    if (found.startsWith(name) && parts.test(found.slice(name.length))) await rm(join(dirname(target), found));
}
