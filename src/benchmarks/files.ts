import { createReadStream } from 'node:fs';
import { open, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { byBytes } from '../runtime/by-bytes.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** Files of a data set by names that begin at its folder and have slashes, wherever they lie. */
export interface Files {
  /** Of the folder, for messages. */
  readonly where: string;
  /** Bytes of a file, or null where there is none. */
  size(name: string): Promise<number | null>;
  /** A whole file of at most `most` bytes, or its first bytes. Errors: DataContract. */
  read(name: string, most?: number): Promise<Buffer>;
  stream(name: string): Promise<AsyncIterable<Buffer>>;
  /** Names below a folder, at any depth, in the order of their bytes; '' is all. */
  list(folder: string): AsyncIterable<string>;
}

/** Larger lists and tables are streamed. */
const largestFile = 512 * 1024 * 1024;

/** A folder of this machine. Links are not followed out of listings. */
export function localFiles(folder: string): Files {
  const path = (name: string) => join(folder, ...safe(name));
  return {
    where: folder,
    size: async (name) => {
      const found = await stat(path(name)).catch(() => null);
      return found?.isFile() ? found.size : null;
    },
    read: async (name, most = largestFile) => {
      const file = await open(path(name)).catch(() => missing(folder, name));
      try {
        const found = await file.stat();
        if (!found.isFile()) return missing(folder, name);
        const { size } = found;
        if (size > most) throw tooLarge(folder, name, size, most);
        return await file.readFile();
      } finally {
        await file.close();
      }
    },
    stream: async (name) => {
      await (await open(path(name)).catch(() => missing(folder, name))).close();
      return createReadStream(path(name)) as AsyncIterable<Buffer>;
    },
    list: (name) => below(folder, name === '' ? '' : safe(name).join('/')),
  };
}

async function* below(root: string, folder: string): AsyncGenerator<string> {
  const found: { name: string; isFolder: boolean }[] = [];
  try {
    for await (const entry of await opendir(join(root, folder)))
      if (entry.isDirectory() || entry.isFile()) found.push({ name: entry.name, isFolder: entry.isDirectory() });
  } catch (error) {
    // A folder that is not there has no files; one that may not be read has some that would be missed.
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return;
    throw new RunnerError('DataContract', `${join(root, folder)} can't be listed: ${code}`);
  }
  // A folder sorts as its name with the slash, as in a bucket.
  const key = ({ name, isFolder }: (typeof found)[number]) => (isFolder ? `${name}/` : name);
  found.sort((a, b) => byBytes(key(a), key(b)));
  for (const { name, isFolder } of found) {
    const at = folder === '' ? name : `${folder}/${name}`;
    if (isFolder) yield* below(root, at);
    else yield at;
  }
}

/** What lies below a prefix of the bucket. */
export function bucketFiles(
  store: Pick<ObjectStore, 'bucket' | 'head' | 'get' | 'stream' | 'list'>,
  prefix: string,
): Files {
  const key = (name: string) => `${prefix}/${safe(name).join('/')}`;
  const where = `s3://${store.bucket}/${prefix}`;
  return {
    where,
    size: async (name) => (await store.head(key(name)))?.bytes ?? null,
    read: async (name, most = largestFile) => {
      const info = await store.head(key(name));
      if (!info) return missing(where, name);
      if (info.bytes > most) throw tooLarge(where, name, info.bytes, most);
      return store.get(key(name), { etag: info.etag });
    },
    stream: async (name) => {
      if (!(await store.head(key(name)))) missing(where, name);
      return (await store.stream(key(name))) as AsyncIterable<Buffer>;
    },
    list: async function* (folder) {
      const at = folder === '' ? `${prefix}/` : `${key(folder)}/`;
      for await (const { key: found } of store.list(at)) yield found.slice(prefix.length + 1);
    },
  };
}

/** Names come from strangers: none leads out of its folder. */
export function safe(name: string): string[] {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0 || parts.includes('..') || /[\0\\]/.test(name))
    throw new RunnerError('DataContract', `${JSON.stringify(name.slice(0, 200))} names no file within the data set`);
  return parts;
}

/** Whether a name may be taken for a file of the data set. */
export function isSafe(name: string): boolean {
  return !/^\/|[\0\\]/.test(name) && !name.split('/').includes('..') && /[^/.]/.test(name);
}

function missing(where: string, name: string): never {
  throw new RunnerError('DataContract', `${where}/${name} is not there; is this the folder of the data set?`);
}

const tooLarge = (where: string, name: string, size: number, most: number) =>
  new RunnerError('DataContract', `${where}/${name} has ${size} bytes, at most ${most} are read`);

/** The lines of a text as Python's splitlines has them. */
export function linesIn(text: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what ends a line there.
  const lines = text.replace(/^\ufeff/, '').split(/\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** The lines of a small file without spaces around them, or null where there is none. */
export async function listFile(files: Files, name: string): Promise<string[] | null> {
  if ((await files.size(name)) === null) return null;
  return linesIn((await files.read(name, 64 * 1024 * 1024)).toString('utf8')).map((line) => line.trim());
}

export const isPicture = (name: string): boolean => /\.(?:jpe?g|png|webp|bmp|gif|tiff?|avif)$/i.test(name);
