import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EmojiDataset, type EmojiOptions, makeEmojiDataset } from '../../infra/emoji/make.ts';
import { makeNoisyEmojiDatasets, type NoisyOptions } from '../../infra/emoji/noisy.ts';
import { hashJson } from '../../src/runtime/hash.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { MemoryStore } from '../data/memory-store.ts';

/**
 * The emoji data set of `makeEmojiDataset`, drawn by the first test file that asks for it: four seconds of a core for 64
 * concepts. What draws is tested without this.
 */
export const drawnEmoji = (store: ObjectStore, options: EmojiOptions): Promise<EmojiDataset> =>
  drawn(store, ['emoji', options], (to) => makeEmojiDataset(to, options));

/** The same of the data sets of curation. */
export const drawnNoisyEmoji = (store: ObjectStore, options: NoisyOptions) =>
  drawn(store, ['noisy', options], (to) => makeNoisyEmojiDatasets(to, options));

async function drawn<T>(store: ObjectStore, what: unknown, make: (to: ObjectStore) => Promise<T>): Promise<T> {
  const folder = await folderOfRun();
  if (folder === null) return make(store);
  const kept = join(folder, hashJson(what));
  const files = () => readdirSync(kept);
  try {
    files();
  } catch {
    const memory = new MemoryStore();
    await make(memory);
    const mine = mkdtempSync(join(folder, 'draws-'));
    for (const [key, body] of memory.objects) writeFileSync(join(mine, encodeURIComponent(key)), body);
    try {
      renameSync(mine, kept);
    } catch {
      // Another file was first, with the same bytes.
      rmSync(mine, { recursive: true });
    }
  }
  for (const name of files()) await store.put(decodeURIComponent(name), readFileSync(join(kept, name)));
  // Finds all of it there, and says what it is.
  return make(store);
}

/** Null in what tests start as a process, and in commands. */
async function folderOfRun(): Promise<string | null> {
  if (!process.env.VITEST) return null;
  const { inject } = await import('vitest');
  try {
    return inject('drawn');
  } catch {
    return null;
  }
}
