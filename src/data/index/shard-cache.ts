import { createHash, randomUUID } from 'node:crypto';
import { closeSync, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { RunnerError } from '../../runtime/errors.ts';
import { type RemoteShard, readRange, type ShardStore } from './part-reader.ts';
import type { ByteRange } from './types.ts';

const partBytes = 8 * 1024 * 1024;
const filesOpen = 64;
const partialsKeptMs = 60 * 60 * 1000;

/**
 * Shards on local disk. A file is named after (bucket, key, bytes, etag) and appears whole, by a rename, so that
 * several processes can share the folder; one that another process has removed is fetched again.
 */
export class ShardCache {
  readonly #store: ShardStore;
  readonly #folder: string;
  readonly #limit: number;
  readonly #fetching = new Map<string, Promise<void>>();
  readonly #open = new Map<string, number>();
  /** Files whose bytes had the sha256 that they should have. */
  readonly #verified = new Set<string>();

  /** `limit` in bytes; the shard that is being read is kept even above it. */
  constructor(store: ShardStore, folder: string, limit = 8 * 1024 ** 3) {
    this.#store = store;
    this.#folder = folder;
    this.#limit = limit;
  }

  /** Bytes of a shard, from disk; the shard is fetched first if need be. */
  async read(shard: RemoteShard, { offset, size }: ByteRange): Promise<Buffer> {
    const path = this.#path(shard);
    if (shard.sha256 !== undefined && !this.#verified.has(path)) await this.ensure(shard);
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
    const there = await stat(path).catch(() => null);
    if (there?.size === shard.bytes && (await this.#verifies(shard, path))) {
      // The time of last use decides who goes first.
      await utimes(path, new Date(), new Date()).catch(() => {});
      return;
    }
    const partial = `${path}.${randomUUID()}.part`;
    const hash = createHash('sha256');
    try {
      await mkdir(this.#folder, { recursive: true });
      const file = await open(partial, 'wx');
      try {
        for (let offset = 0; offset < shard.bytes; offset += partBytes) {
          const size = Math.min(partBytes, shard.bytes - offset);
          const part = await readRange(this.#store, shard, offset, size);
          if (shard.sha256 !== undefined) hash.update(part.subarray(Math.max(0, (shard.offset ?? 0) - offset)));
          await file.write(part, 0, size, offset);
        }
        if (shard.sha256 !== undefined) requireHash(this.#store, shard, hash.digest('hex'));
        // Before the rename, or power loss could leave a file of the right size that holds zeros.
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(partial, path);
      if (shard.sha256 !== undefined) this.#verified.add(path);
    } catch (error) {
      await rm(partial, { force: true }).catch(() => {});
      throw diskError(error, shard, this.#folder);
    }
    await this.#makeRoom(path);
  }

  /** Once a file of a known hash: a disk can lose what it was given. */
  async #verifies({ sha256, offset = 0 }: RemoteShard, path: string): Promise<boolean> {
    if (sha256 === undefined || this.#verified.has(path)) return true;
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path, { start: offset })) hash.update(chunk);
    if (hash.digest('hex') !== sha256) return false;
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
      total -= bytes;
    }
  }
}

function requireHash({ bucket }: ShardStore, { key, sha256 }: RemoteShard, found: string): void {
  if (found === sha256) return;
  throw new RunnerError(
    'DataContract',
    `s3://${bucket}/${key} is damaged: it has the sha256 ${found}, and ${sha256} was written; put back what it was, or delete it and make it again`,
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
