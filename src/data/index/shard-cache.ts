import { createHash, randomUUID } from 'node:crypto';
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RunnerError } from '../../runtime/errors.ts';
import { partBytes, type RemoteShard, readRange, type ShardStore } from './part-reader.ts';
import type { ByteRange } from './types.ts';

const filesOpen = 64;
const partialsKeptMs = 60 * 60 * 1000;
/** Bytes that a link has changed are others when they come again. */
const fetches = 3;

/**
 * Shards on local disk. A file is named after (bucket, key, bytes, etag) and appears whole, by a rename, so that
 * several processes can share the folder; one that another process has removed is fetched again. Its bytes are held against
 * the sha256 of the shard when they come in, and once by every process that uses them: a link or a disk must not change what
 * is trained on. Where the shard has none, as in indexes of older versions, it is that which came in, written down beside
 * the file.
 */
export class ShardCache {
  readonly #store: ShardStore;
  readonly #folder: string;
  readonly #limit: number;
  readonly #fetching = new Map<string, Promise<void>>();
  readonly #open = new Map<string, number>();
  /** Files whose bytes had the sha256 that they should have. */
  readonly #verified = new Set<string>();

  readonly #fetchElsewhere: ((shard: RemoteShard) => Promise<void>) | undefined;

  /**
   * `limit` in bytes; the shard that is being read is kept even above it. `fetch`: what brings shards into the folder, checked,
   * where others of this process use the same one.
   */
  constructor(store: ShardStore, folder: string, limit = 8 * 1024 ** 3, fetch?: (shard: RemoteShard) => Promise<void>) {
    this.#fetchElsewhere = fetch;
    this.#store = store;
    this.#folder = folder;
    this.#limit = limit;
  }

  /** Bytes of a shard, from disk; the shard is fetched first if need be. */
  async read(shard: RemoteShard, { offset, size }: ByteRange): Promise<Buffer> {
    const path = this.#path(shard);
    if (!this.#verified.has(path)) await this.ensure(shard);
    let file = this.#open.get(path);
    while (file === undefined) {
      // Another read of the same shard may have opened it meanwhile.
      file = this.#open.get(path) ?? this.#opened(path, shard.bytes);
      if (file === undefined) await this.ensure(shard);
    }
    // The reader is a thread of its own that would only wait: a small read takes less time than handing it over.
    const buffer = Buffer.allocUnsafe(size);
    for (let done = 0; done < size; ) {
      const count = readSync(file, buffer, done, size - done, offset + done);
      if (count === 0) throw new Error(`${path} ends before byte ${offset + size}`);
      done += count;
    }
    return buffer;
  }

  /** Closes the files; the cache can be used on. */
  close(): void {
    for (const file of this.#open.values()) closeSync(file);
    this.#open.clear();
  }

  /** Bytes of a shard from the store itself: tells damage of the local copy from damage of the data. */
  readRemote(shard: RemoteShard, { offset, size }: ByteRange): Promise<Buffer> {
    return readRange(this.#store, shard, offset, size);
  }

  /** Resolves when the shard is on disk. */
  ensure(shard: RemoteShard): Promise<void> {
    const path = this.#path(shard);
    let fetching = this.#fetching.get(path);
    if (!fetching) {
      fetching = this.#fetch(shard, path).finally(() => this.#fetching.delete(path));
      this.#fetching.set(path, fetching);
    }
    return fetching;
  }

  /** The file, if it is there and whole. */
  #opened(path: string, bytes: number): number | undefined {
    let file: number;
    try {
      file = openSync(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    if (fstatSync(file).size !== bytes) {
      closeSync(file);
      return undefined;
    }
    this.#open.set(path, file);
    if (this.#open.size > filesOpen) {
      const [oldest, unused] = this.#open.entries().next().value!;
      this.#open.delete(oldest);
      closeSync(unused);
    }
    return file;
  }

  #path({ key, bytes, etag }: RemoteShard): string {
    const identity = JSON.stringify([this.#store.bucket, key, bytes, etag]);
    return join(this.#folder, `${createHash('sha256').update(identity).digest('hex').slice(0, 40)}.tar`);
  }

  async #fetch(shard: RemoteShard, path: string): Promise<void> {
    if (this.#fetchElsewhere) {
      await this.#fetchElsewhere(shard);
      this.#verified.add(path);
      return;
    }
    const there = await stat(path).catch(() => null);
    if (there?.size === shard.bytes && (await this.#verifies(shard, path))) {
      // The time of last use decides who goes first.
      await utimes(path, new Date(), new Date()).catch(() => {});
      return;
    }
    try {
      await mkdir(this.#folder, { recursive: true });
      for (let left = fetches - 1; ; left--) {
        const found = await this.#download(shard, path);
        if (found === null) break;
        if (left === 0) throw otherBytes(this.#store, shard, found);
      }
    } catch (error) {
      throw diskError(error, shard, this.#folder);
    }
    this.#verified.add(path);
    await this.#makeRoom(path);
  }

  /** Null when the file is there; the sha256 that came in its place when that is another than the shard has. */
  async #download(shard: RemoteShard, path: string): Promise<string | null> {
    const partial = `${path}.${randomUUID()}.part`;
    try {
      const hash = createHash('sha256');
      const file = await open(partial, 'wx');
      try {
        for (let offset = 0; offset < shard.bytes; offset += partBytes) {
          const size = Math.min(partBytes, shard.bytes - offset);
          const part = await readRange(this.#store, shard, offset, size);
          hash.update(part.subarray(Math.max(0, (shard.offset ?? 0) - offset)));
          await file.write(part, 0, size, offset);
        }
        // Before the rename, or power loss could leave a file of the right size that holds zeros.
        await file.datasync();
      } finally {
        await file.close();
      }
      const found = hash.digest('hex');
      if (shard.sha256 === undefined) await writeFile(`${path}.sha256`, found);
      else if (shard.sha256 !== found) {
        await rm(partial, { force: true });
        return found;
      }
      await rename(partial, path);
      return null;
    } catch (error) {
      await rm(partial, { force: true }).catch(() => {});
      throw error;
    }
  }

  /** Once a process: a disk can lose what it was given. */
  async #verifies({ sha256, offset = 0 }: RemoteShard, path: string): Promise<boolean> {
    if (this.#verified.has(path)) return true;
    const wanted = sha256 ?? (await readFile(`${path}.sha256`, 'utf8').catch(() => null));
    if (wanted === null) return false;
    const hash = createHash('sha256');
    try {
      for await (const part of createReadStream(path, { start: offset, highWaterMark: 1024 * 1024 })) hash.update(part);
    } catch {
      // Removed by another process meanwhile, or on a sector that can't be read.
      return false;
    }
    if (hash.digest('hex') !== wanted) return false;
    this.#verified.add(path);
    return true;
  }

  async #makeRoom(newest: string): Promise<void> {
    const names = await readdir(this.#folder);
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.#folder, name);
        const found = await stat(path).catch(() => null);
        return { path, bytes: found?.size ?? 0, used: found?.mtimeMs ?? 0 };
      }),
    );
    for (const { path, used } of files) {
      // What a killed process left behind.
      if (path.endsWith('.part') && used < Date.now() - partialsKeptMs) await rm(path, { force: true });
    }
    const shards = files.filter(({ path }) => path.endsWith('.tar')).sort((a, b) => a.used - b.used);
    let total = shards.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { path, bytes } of shards) {
      if (total <= this.#limit) break;
      if (path === newest) continue;
      await rm(path, { force: true });
      await rm(`${path}.sha256`, { force: true });
      total -= bytes;
    }
  }
}

function otherBytes({ bucket }: ShardStore, { key, sha256 }: RemoteShard, found: string): RunnerError {
  return new RunnerError(
    'DataContract',
    `s3://${bucket}/${key} is damaged: it has the sha256 ${found}, and ${sha256} is wanted; put back what it was, or cancel the run and start it again, which plans it with what is there`,
    { details: { object: key } },
  );
}

function diskError(error: unknown, { key, bytes }: RemoteShard, folder: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const what = `no room for shard ${key} (${bytes} bytes) in ${folder}`;
    return new RunnerError('DiskFull', `${what}: free some, or set SIGLIP2_SCRATCH to a larger disk`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EROFS' || code === 'ENOTDIR') {
    const what = `folder ${folder} for downloaded shards can't be written (${code})`;
    return new RunnerError('SetupMissing', `${what}: set SIGLIP2_SCRATCH to one that can`, { cause: error });
  }
  return error;
}
