import { readdir, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { isCachedFile } from './cached-file.ts';

/** What killed processes left behind is removed when it is so old. */
const leftoversKeptMs = 60 * 60 * 1000;
/** Room is made when so large a share of the limit has come in, not at every file. */
const sweptShare = 1 / 32;
/**
 * A phase holds what it needs now for so long after it has said so: another one that takes its turn on the device may train
 * for that long.
 */
const heldMs = 30 * 60 * 1000;
const renewedMs = 2 * 60 * 1000;
/** What is needed only after that goes before it, and after what nobody holds. */
const nextAgeMs = heldMs / 2;
const lookedAgainMs = 30_000;

type Need = 'now' | 'next';

/**
 * The room of a folder that several processes fill. The time of each file says how much it is needed: that of its last use,
 * earlier where it is wanted later, and none once it is wanted no more. What is least needed goes first.
 */
export class CacheRoom {
  readonly #folder: string;
  readonly #limit: number;
  /** Bytes that came in since room was made. */
  #added = Number.POSITIVE_INFINITY;
  readonly #held = new Map<string, Need>();
  #renewed = 0;
  /** Bytes that anyone holds, as they were found and as were added here since. */
  #heldBytes = 0;
  #looked = Number.NEGATIVE_INFINITY;

  /** `limit` in bytes; the file that came last is kept even above it. */
  constructor(folder: string, limit: number) {
    this.#folder = folder;
    this.#limit = limit;
  }

  /** Says that a file has come in, and makes room where it is time to. */
  async added(path: string, bytes: number): Promise<void> {
    this.#heldBytes += bytes;
    this.#added += bytes;
    if (this.#added < sweptShare * this.#limit) return;
    this.#added = 0;
    await this.#make(path);
  }

  /** Whether so many bytes more would take nobody's place who needs it sooner. */
  async has(bytes: number): Promise<boolean> {
    if (performance.now() - this.#looked > lookedAgainMs) {
      const since = Date.now() - heldMs;
      const held = (await this.#files()).filter(({ path, used }) => isCachedFile(path) && used > since);
      this.#heldBytes = held.reduce((sum, { bytes }) => sum + bytes, 0);
      this.#looked = performance.now();
    }
    return this.#heldBytes + bytes <= this.#limit * (1 - sweptShare);
  }

  /** Files that were held here before and are not among these are needed no more. */
  async hold(now: ReadonlySet<string>, next: ReadonlySet<string>): Promise<void> {
    const free = [...this.#held.keys()].filter((path) => !now.has(path) && !next.has(path));
    this.#held.clear();
    for (const path of next) this.#held.set(path, 'next');
    for (const path of now) this.#held.set(path, 'now');
    await Promise.all(free.map((path) => setTime(path, 0)));
    this.#looked = Number.NEGATIVE_INFINITY;
    await this.#renew();
  }

  /** To be called now and then while what is held is needed. */
  async renew(): Promise<void> {
    if (performance.now() - this.#renewed >= renewedMs) await this.#renew();
  }

  async #renew(): Promise<void> {
    this.#renewed = performance.now();
    const time = Date.now();
    for (const [path, need] of this.#held) await setTime(path, need === 'now' ? time : time - nextAgeMs);
  }

  async #make(newest: string): Promise<void> {
    const all = await this.#files();
    const [now, leftover] = [Date.now(), /\.(part|claim)$/];
    for (const { path, used } of all)
      if (leftover.test(path) && used < now - leftoversKeptMs) await rm(path, { force: true });
    const files = all.filter(({ path }) => isCachedFile(path)).sort((a, b) => a.used - b.used);
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    // What comes in until the next time has room too.
    for (const { path, bytes } of files) {
      if (total <= this.#limit * (1 - sweptShare)) break;
      if (path === newest) continue;
      await rm(path, { force: true });
      await rm(`${path}.sha256`, { force: true });
      total -= bytes;
    }
  }

  async #files(): Promise<{ path: string; bytes: number; used: number }[]> {
    const names = await readdir(this.#folder).catch(() => []);
    return Promise.all(
      names.map(async (name) => {
        const path = join(this.#folder, name);
        const found = await stat(path).catch(() => null);
        return { path, bytes: found?.size ?? 0, used: found?.mtimeMs ?? 0 };
      }),
    );
  }
}

/** A file that another process has removed needs none. */
const setTime = (path: string, ms: number) => utimes(path, new Date(), new Date(ms)).catch(() => {});
