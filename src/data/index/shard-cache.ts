import { createHash, randomUUID } from 'node:crypto';
import { closeSync, createReadStream, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { RunnerError } from '../../runtime/errors.ts';
import { partBytes, type RemoteShard, readRange, type ShardStore } from './part-reader.ts';
import type { ByteRange } from './types.ts';

/** Of shards and parts of shards on the disk. */
export const cacheBytes = 8 * 1024 ** 3;
const filesOpen = 128;
const partialsKeptMs = 60 * 60 * 1000;
/** A thread may be ended in the middle of a fetch, and the next one waits for as long. */
const claimKeptMs = 2000;
const claimRenewedMs = 300;
const claimLookedAtMs = 25;
/** Bytes that a link has changed are others when they come again. */
const fetches = 3;

/** Read by the member before its range has come: from ranges so large that this is little beside them. */
const directBytes = 64 * 1024 ** 2;
const largePart = 4 * 1024 ** 2;
/** Room is made when so large a share of the limit has come in, not at every file. */
const sweptShare = 1 / 32;

/**
 * Shards on local disk, or parts of them. A file is named after (bucket, key, bytes, etag, parts) and appears whole, by a
 * rename, so that several processes can share the folder; one that another process has removed is fetched again. Its bytes
 * are held against the sha256 of the shard when they come in, and once by every process that uses them: a link or a disk
 * must not change what is trained on. Where the shard has none, and of parts, it is that which came in, written down beside
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
  /** Bytes that may still be read without a file, for a quick start. */
  #direct = directBytes;
  readonly #paths = new WeakMap<RemoteShard, string>();
  /** Bytes that came in since room was made. */
  #added = Number.POSITIVE_INFINITY;

  /** `limit` in bytes; the shard that is being read is kept even above it. */
  constructor(store: ShardStore, folder: string, limit = cacheBytes) {
    this.#store = store;
    this.#folder = folder;
    this.#limit = limit;
  }

  /** Bytes of a shard, from disk; the shard is fetched first if need be. */
  async read(shard: RemoteShard, { offset, size }: ByteRange): Promise<Buffer> {
    const path = this.#path(shard);
    if (this.#comesLater(shard, path, size)) {
      this.#direct -= size;
      return this.readRemote(shard, { offset, size });
    }
    if (!this.#verified.has(path)) await this.ensure(shard);
    let file = this.#open.get(path);
    while (file === undefined) {
      // Another read of the same shard may have opened it meanwhile.
      file = this.#open.get(path) ?? this.#opened(path, sizeOf(shard));
      if (file === undefined) await this.ensure(shard);
    }
    // The reader is a thread of its own that would only wait: a small read takes less time than handing it over.
    const buffer = Buffer.allocUnsafe(size);
    const at = placeOf(shard, offset, size);
    for (let done = 0; done < size; ) {
      const count = readSync(file, buffer, done, size - done, at + done);
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

  /**
   * A first batch has examples of many ranges: it need not wait for all of each. Later ones find them on disk, so that few
   * bytes are read twice.
   */
  #comesLater(shard: RemoteShard, path: string, size: number): boolean {
    if (!shard.parts || size > this.#direct || sizeOf(shard) < largePart) return false;
    return !this.#verified.has(path) && !existsSync(path);
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

  #path(shard: RemoteShard): string {
    const known = this.#paths.get(shard);
    if (known !== undefined) return known;
    const path = this.#named(shard);
    this.#paths.set(shard, path);
    return path;
  }

  #named({ key, bytes, etag, parts }: RemoteShard): string {
    const identity = [this.#store.bucket, key, bytes, etag];
    const named = JSON.stringify(parts ? [...identity, parts.map(({ offset, size }) => [offset, size])] : identity);
    const hash = createHash('sha256').update(named).digest('hex').slice(0, 40);
    return join(this.#folder, `${hash}.${parts ? 'range' : 'tar'}`);
  }

  async #fetch(shard: RemoteShard, path: string): Promise<void> {
    const claim = `${path}.claim`;
    while (!(await this.#isThere(shard, path))) {
      try {
        await mkdir(this.#folder, { recursive: true });
        if (await claimed(claim)) {
          const renewed = setInterval(() => utimes(claim, new Date(), new Date()).catch(() => {}), claimRenewedMs);
          return await this.#fetchAlone(shard, path).finally(() => {
            clearInterval(renewed);
            return rm(claim, { force: true });
          });
        }
        await setTimeout(claimLookedAtMs);
      } catch (error) {
        throw diskError(error, shard, this.#folder);
      }
    }
  }

  async #isThere(shard: RemoteShard, path: string): Promise<boolean> {
    const there = await stat(path).catch(() => null);
    if (there?.size !== sizeOf(shard) || !(await this.#verifies(shard, path))) return false;
    // The time of last use decides who goes first.
    await utimes(path, new Date(), new Date()).catch(() => {});
    return true;
  }

  async #fetchAlone(shard: RemoteShard, path: string): Promise<void> {
    // Another process may have brought it since it was looked for.
    if (await this.#isThere(shard, path)) return;
    for (let left = fetches - 1; ; left--) {
      const found = await this.#download(shard, path);
      if (found === null) break;
      if (left === 0) throw otherBytes(this.#store, shard, found);
    }
    this.#verified.add(path);
    this.#added += sizeOf(shard);
    if (this.#added < sweptShare * this.#limit) return;
    this.#added = 0;
    await this.#makeRoom(path);
  }

  /** Null when the file is there; the sha256 that came in its place when that is another than the shard has. */
  async #download(shard: RemoteShard, path: string): Promise<string | null> {
    const partial = `${path}.${randomUUID()}.part`;
    try {
      const hash = createHash('sha256');
      const file = await open(partial, 'wx');
      try {
        let at = 0;
        for (const { offset, size } of piecesOf(shard)) {
          const part = await readRange(this.#store, shard, offset, size);
          hash.update(part.subarray(Math.max(0, (shard.offset ?? 0) - offset)));
          await file.write(part, 0, size, at);
          at += size;
        }
        // Before the rename, or power loss could leave a file of the right size that holds zeros.
        await file.datasync();
      } finally {
        await file.close();
      }
      const found = hash.digest('hex');
      const wanted = sha256Of(shard);
      if (wanted === undefined) await writeFile(`${path}.sha256`, found);
      else if (wanted !== found) {
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
  async #verifies(shard: RemoteShard, path: string): Promise<boolean> {
    if (this.#verified.has(path)) return true;
    const start = shard.parts ? 0 : (shard.offset ?? 0);
    const wanted = sha256Of(shard) ?? (await readFile(`${path}.sha256`, 'utf8').catch(() => null));
    if (wanted === null) return false;
    const hash = createHash('sha256');
    try {
      for await (const part of createReadStream(path, { start, highWaterMark: 1024 * 1024 })) hash.update(part);
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
      if (/\.(part|claim)$/.test(path) && used < Date.now() - partialsKeptMs) await rm(path, { force: true });
    }
    const shards = files.filter(({ path }) => /\.(tar|range)$/.test(path)).sort((a, b) => a.used - b.used);
    let total = shards.reduce((sum, { bytes }) => sum + bytes, 0);
    // What comes in until the next time has room too.
    for (const { path, bytes } of shards) {
      if (total <= this.#limit * (1 - sweptShare)) break;
      if (path === newest) continue;
      await rm(path, { force: true });
      await rm(`${path}.sha256`, { force: true });
      total -= bytes;
    }
  }
}

/**
 * Whether this process is the one that fetches a file, of all that share the folder: others wait until it is there. A claim
 * that has not been renewed is of a thread that was ended. Where one was only busy two fetch the same, which harms nothing.
 */
async function claimed(claim: string): Promise<boolean> {
  try {
    await writeFile(claim, '', { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const there = await stat(claim).catch(() => null);
  if (there && there.mtimeMs < Date.now() - claimKeptMs) await rm(claim, { force: true });
  return false;
}

/** Bytes of its file. */
const sizeOf = ({ bytes, parts }: RemoteShard) => parts?.reduce((sum, { size }) => sum + size, 0) ?? bytes;

/** That of the file; what the shard has is of all its bytes. */
const sha256Of = ({ sha256, parts }: RemoteShard) => (parts ? undefined : sha256);

/** Where bytes of a shard lie in its file. */
function placeOf({ key, parts }: RemoteShard, offset: number, size: number): number {
  if (!parts) return offset;
  let before = 0;
  for (const part of parts) {
    if (offset >= part.offset && offset + size <= part.offset + part.size) return before + offset - part.offset;
    before += part.size;
  }
  throw new RangeError(`bytes ${offset} to ${offset + size} of ${key} are in no part of it that is wanted`);
}

/** What is asked for at once, in order. */
function* piecesOf({ bytes, parts = [{ offset: 0, size: bytes }] }: RemoteShard): Generator<ByteRange> {
  for (const { offset, size } of parts)
    for (let done = 0; done < size; done += partBytes)
      yield { offset: offset + done, size: Math.min(partBytes, size - done) };
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
