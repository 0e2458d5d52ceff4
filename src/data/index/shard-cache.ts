import { createHash, randomUUID } from 'node:crypto';
import { closeSync, createReadStream, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { CacheRoom } from './cache-room.ts';
import { diskError, fileNameOf, otherBytes, piecesOf, placeOf, sha256Of, sizeOf } from './cached-file.ts';
import { whileClaimed } from './claim-file.ts';
import { type RemoteShard, readRange, type ShardStore } from './part-reader.ts';
import type { ByteRange } from './types.ts';

/** Of shards and parts of shards on the disk. */
export const cacheBytes = 8 * 1024 ** 3;
const filesOpen = 128;
/** Names of files that were held against their sha256, 10 MB; one that was forgotten is read once more. */
const filesVerified = 65_536;
/** Another process is fetching it. */
const claimLookedAtMs = 25;
/** Bytes that a link has changed are others when they come again. */
const fetches = 3;

/** Read by the member before its range has come: from ranges so large that this is little beside them. */
const directBytes = 64 * 1024 ** 2;
const largePart = 4 * 1024 ** 2;

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
  readonly #room: CacheRoom;
  readonly #fetching = new Map<string, Promise<void>>();
  readonly #open = new Map<string, number>();
  /** Files whose bytes had the sha256 that they should have. */
  readonly #verified = new Set<string>();
  /** Bytes that may still be read without a file, for a quick start. */
  #direct = directBytes;
  readonly #paths = new WeakMap<RemoteShard, string>();

  /** `limit` in bytes; the shard that is being read is kept even above it. */
  constructor(store: ShardStore, folder: string, limit = cacheBytes) {
    this.#store = store;
    this.#folder = folder;
    this.#room = new CacheRoom(folder, limit);
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

  /** Brings what is needed after other files, where it takes nobody's place who needs it sooner: false where it would. */
  async ensureIfRoom(shard: RemoteShard): Promise<boolean> {
    if (!existsSync(this.#path(shard)) && !(await this.#room.has(sizeOf(shard)))) return false;
    await this.ensure(shard);
    return true;
  }

  /**
   * Says what is needed now and what after that, of all that this process reads: other processes leave it where it is, as
   * long as there is room for what all of them need now. What was held before is not, if it is not among these.
   */
  hold(now: readonly RemoteShard[], next: readonly RemoteShard[]): Promise<void> {
    const paths = (shards: readonly RemoteShard[]) => new Set(shards.map((shard) => this.#path(shard)));
    return this.#room.hold(paths(now), paths(next));
  }

  /** To be called now and then while what is held is needed. */
  renew(): Promise<void> {
    return this.#room.renew();
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
    const path = join(this.#folder, fileNameOf(shard, this.#store.bucket));
    this.#paths.set(shard, path);
    return path;
  }

  async #fetch(shard: RemoteShard, path: string): Promise<void> {
    const claim = `${path}.claim`;
    while (!(await this.#isThere(shard, path))) {
      try {
        await mkdir(this.#folder, { recursive: true });
        if (await whileClaimed(claim, () => this.#fetchAlone(shard, path))) return;
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
    this.#verify(path);
    await this.#room.added(path, sizeOf(shard));
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
    this.#verify(path);
    return true;
  }

  /** Not without end: 100 million examples lie in a million ranges, and each thread of a loader meets most of them. */
  #verify(path: string): void {
    this.#verified.add(path);
    if (this.#verified.size > filesVerified) this.#verified.delete(this.#verified.values().next().value!);
  }
}
