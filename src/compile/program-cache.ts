import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { hashJson } from '../runtime/hash.ts';
import { machineKey } from '../runtime/machine-key.ts';
import { ownScratch } from '../runtime/scratch.ts';
import { decodeEntry, encodeEntry, type KeptProgram } from './cache-entry.ts';

/** One program in the cache. */
export interface CacheSlot {
  /** The program, where there is a whole one. What XLA compiled of it lies where XLA looks for it. */
  find(): KeptProgram | null;
  /** Keeps it, with what XLA has compiled up to now. A failure costs the next start its time, and nothing else. */
  keep(program: Omit<KeptProgram, 'compiled'>): void;
  /** Says that it has run. */
  proven(): void;
  /** Forgets it, with what XLA has of it. */
  drop(): void;
}

/** What the folder may hold, and what must be free on its disk: XLA fails a step whose code it can't store. */
const largest = 2 ** 30;
const leastFree = 2 ** 29;
/** Starts in a row that may end before a step of the program: any one may have been killed. */
const trials = 2;

/**
 * Compiled programs on local disk, for the next process that needs the same: graphs, by what they were traced from, and
 * XLA's machine code. Nothing in it is trusted: an entry is one file with its hash, and what it holds is handed to XLA in a
 * folder of this process alone. It may be deleted at any time.
 */
export class ProgramCache {
  readonly #folder: string;
  readonly #ours: string;
  readonly #env: NodeJS.ProcessEnv;
  #machine: string | null = null;

  private constructor(folder: string, ours: string, env: NodeJS.ProcessEnv) {
    this.#folder = folder;
    this.#ours = ours;
    this.#env = env;
  }

  /** To be called before TensorFlow is loaded. Null where the folder can't be used: everything works without it. */
  static open(folder: string, env: NodeJS.ProcessEnv = process.env): ProgramCache | null {
    const { TF_XLA_FLAGS: flags = '', ...others } = env;
    if (flags.includes('persistent_cache')) return null;
    try {
      const ours = ownScratch(join(folder, 'open'), 'SIGLIP2_CACHE');
      const { bavail, bsize } = statfsSync(ours);
      if (bavail * bsize < leastFree) return null;
      process.once('exit', () => rmSync(ours, { recursive: true, force: true }));
      // Machine code for a GPU depends on more than we know of.
      env.TF_XLA_FLAGS =
        `${flags} --tf_xla_persistent_cache_directory=${ours} --tf_xla_persistent_cache_device_types=CPU`.trim();
      return new ProgramCache(folder, ours, { ...others, ...(flags && { TF_XLA_FLAGS: flags }) });
    } catch {
      return null;
    }
  }

  /**
   * The place of a program, which from here on is the one that XLA compiles for in this process. Null where it can't be
   * told what a program depends on.
   *
   * @param made what the program follows from, as JSON
   */
  slot(made: object): CacheSlot | null {
    this.#machine ??= quietly(() => machineKey(this.#env));
    if (this.#machine === null) return null;
    const file = join(this.#folder, `${hashJson({ machine: this.#machine, made })}.program`);
    const trial = `${file}.trial`;
    let kept = -1;
    const remove = () => {
      for (const path of [file, trial]) rmSync(path, { force: true });
    };
    this.#empty();
    return {
      find: () =>
        quietly(() => {
          const failed = Number(quietly(() => readFileSync(trial, 'utf8')) ?? 0);
          const entry = failed < trials ? decodeEntry(readFileSync(file)) : null;
          if (entry === null) {
            remove();
            return null;
          }
          writeFileSync(trial, String(failed + 1));
          utimesSync(file, new Date(), new Date());
          for (const [name, bytes] of entry.compiled) writeFileSync(join(this.#ours, name), bytes);
          kept = entry.compiled.size;
          return entry;
        }),
      keep: (program) =>
        quietly(() => {
          // XLA makes a file whole before it gives it its name.
          const names = readdirSync(this.#ours).filter((name) => name.endsWith('.pb'));
          if (names.length === kept) return;
          kept = names.length;
          const compiled = new Map(names.sort().map((name) => [name, readFileSync(join(this.#ours, name))]));
          const bytes = encodeEntry({ ...program, compiled });
          if (bytes.length > largest / 4) return;
          const part = `${file}.${process.pid}.part`;
          writeFileSync(part, bytes, { mode: 0o600 });
          renameSync(part, file);
          this.#bound();
        }),
      proven: () => rmSync(trial, { force: true }),
      drop: () => {
        remove();
        this.#empty();
      },
    };
  }

  #empty(): void {
    quietly(() => rmSync(this.#ours, { recursive: true, force: true }));
    quietly(() => mkdirSync(this.#ours, { recursive: true }));
  }

  /** Removes what was not used for longest. */
  #bound(): void {
    const files = readdirSync(this.#folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => ({ path: join(this.#folder, name), ...timeAndSize(join(this.#folder, name)) }))
      .sort((a, b) => b.time - a.time);
    let total = 0;
    for (const { path, size } of files) {
      total += size;
      if (total > largest) rmSync(path, { force: true });
    }
  }
}

const timeAndSize = (path: string) => {
  const found = statSync(path, { throwIfNoEntry: false });
  return { time: found?.mtimeMs ?? 0, size: found?.size ?? 0 };
};

function quietly<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null;
  }
}
