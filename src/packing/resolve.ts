import { readSync } from 'node:fs';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { turns } from '../runtime/turns.ts';
import { edgeBytes, hasTexts, isExact, windowParts, windowStarts } from './edges.ts';

/** What becomes of the pictures that go, by part. */
export interface ResolveOutput {
  /** Of the pictures of a part that go: (index, number of the one that stays, flags) each. */
  fates(part: number, records: Buffer): Promise<void>;
  /** Of the pictures of a part that stay: (index, number of one that went and has texts of its own) each. */
  joined(part: number, records: Buffer): Promise<void>;
}

export interface Resolved {
  readonly exact: number;
  readonly near: number;
}

const none = 0xffff_ffff;
export const fateBytes = 12;
export const joinedBytes = 8;

/**
 * Follows each picture that goes to the one that stays: a keeper may go itself, to one that came still before. Windows of
 * parts are settled one after another, so that a keeper is settled before what comes to it. In memory is one window, 13 MB;
 * on disk four bytes a picture, and eight for each that brings texts: 400 MB for 100 million pictures.
 *
 * @param read edges of a window, of each partition in turn
 */
export async function resolve(
  counts: readonly number[],
  read: (window: number) => AsyncIterable<Buffer>,
  output: ResolveOutput,
  folder: string,
): Promise<Resolved> {
  const starts = windowStarts(counts);
  const turn = turns();
  let [exact, near] = [0, 0];
  await mkdir(folder, { recursive: true });
  const roots = await open(join(folder, 'roots'), 'w+');
  const bucket = (window: number) => join(folder, `joined-${window}`);
  try {
    const settled = Buffer.alloc(4);
    for (let window = 0; window + 1 < starts.length; window++) {
      const base = starts[window]!;
      const size = starts[window + 1]! - base;
      const keepers = new Uint32Array(size).fill(none);
      const flags = new Uint8Array(size);
      for await (const edges of read(window))
        for (let at = 0; at < edges.length; at += edgeBytes) {
          const i = edges.readUInt32LE(at) - base;
          keepers[i] = Math.min(keepers[i]!, edges.readUInt32LE(at + 4));
          flags[i]! |= edges.readUInt32LE(at + 8);
          await turn();
        }
      const joins = new Map<number, number[]>();
      for (let i = 0; i < size; i++) {
        const keeper = keepers[i]!;
        if (keeper === none) continue;
        let root = keeper;
        if (keeper >= base) root = keepers[keeper - base] === none ? keeper : keepers[keeper - base]!;
        else {
          readSync(roots.fd, settled, 0, 4, 4 * keeper);
          const before = settled.readUInt32LE();
          if (before !== none) root = before;
        }
        // From here on it is the one that stays.
        keepers[i] = root;
        if (flags[i]! & isExact) exact++;
        else near++;
        if (flags[i]! & hasTexts) {
          const at = windowOf(starts, root);
          const own = joins.get(at) ?? [];
          joins.set(at, own);
          own.push(root, base + i);
        }
        await turn();
      }
      await roots.write(new Uint8Array(keepers.buffer), 0, 4 * size, 4 * base);
      for (const [at, own] of joins) await append(bucket(at), own);
      await writeFates(counts, window, base, keepers, flags, output);
    }
    for (let window = 0; window + 1 < starts.length; window++)
      await writeJoined(counts, window, starts[window]!, bucket(window), output);
    return { exact, near };
  } finally {
    await roots.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const windowOf = (starts: readonly number[], id: number) => {
  let [low, high] = [0, starts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= id) low = middle;
    else high = middle;
  }
  return low;
};

async function append(file: string, words: readonly number[]): Promise<void> {
  const to = await open(file, 'a');
  try {
    await to.write(wordsBuffer(words));
  } finally {
    await to.close();
  }
}

function wordsBuffer(words: readonly number[]): Buffer {
  const buffer = Buffer.alloc(4 * words.length);
  for (const [i, word] of words.entries()) buffer.writeUInt32LE(word, 4 * i);
  return buffer;
}

/** Each part of a window, with the number of its first item. */
function* partsOf(
  counts: readonly number[],
  window: number,
  base: number,
): Generator<[part: number, start: number, end: number]> {
  let start = base;
  for (let part = window * windowParts; part < Math.min(counts.length, (window + 1) * windowParts); part++) {
    yield [part, start, start + counts[part]!];
    start += counts[part]!;
  }
}

async function writeFates(
  counts: readonly number[],
  window: number,
  base: number,
  keepers: Uint32Array,
  flags: Uint8Array,
  output: ResolveOutput,
): Promise<void> {
  for (const [part, start, end] of partsOf(counts, window, base)) {
    const words: number[] = [];
    for (let id = start; id < end; id++) {
      const root = keepers[id - base]!;
      if (root !== none) words.push(id - start, root, flags[id - base]!);
    }
    await output.fates(part, wordsBuffer(words));
  }
}

/** In the order of those that stay, and of those that come to them. */
async function writeJoined(
  counts: readonly number[],
  window: number,
  base: number,
  file: string,
  output: ResolveOutput,
): Promise<void> {
  const bytes = await readFile(file).catch(() => Buffer.alloc(0));
  const pairs = Array.from(
    { length: bytes.length / 8 },
    (_, i) => [bytes.readUInt32LE(8 * i), bytes.readUInt32LE(8 * i + 4)] as const,
  );
  pairs.sort(([a, b], [c, d]) => a - c || b - d);
  let next = 0;
  for (const [part, start, end] of partsOf(counts, window, base)) {
    const words: number[] = [];
    for (; next < pairs.length && pairs[next]![0] < end; next++) words.push(pairs[next]![0] - start, pairs[next]![1]);
    await output.joined(part, wordsBuffer(words));
  }
}
