import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KeptBatches } from '../../../src/data/batches/kept-batches.ts';
import { PieceStore } from '../../../src/data/batches/piece-store.ts';
import { SpillFile } from '../../../src/data/batches/spill-file.ts';
import type { Piece } from '../../../src/data/batches/types.ts';
import { collectGarbage } from '../../../src/runtime/collect-garbage.ts';
import type { Producer } from '../../../src/runtime/producer.ts';
import { fullDisk } from '../../faults/full-disk.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-kept-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Byte `j` of the picture in row `i` of batch `k`, and token `j` of its text. */
const pixel = (k: number, i: number, j: number) => (31 * k + 7 * i + j) % 251;
const token = (k: number, i: number, j: number) => 1000 * k + 10 * i + j;
const [pixels, words] = [64, 3];

/** A loader of batches of `of` rows in pieces of `rows`; `failing` is what it can't make. */
class Loader implements Producer<Piece> {
  made = 0;
  readonly of: number;
  readonly rows: number;
  readonly size: number;
  readonly failing: number;

  constructor(of: number, rows: number, size = pixels, failing = Number.POSITIVE_INFINITY) {
    this.of = of;
    this.rows = rows;
    this.size = size;
    this.failing = failing;
  }

  get ready(): boolean {
    return true;
  }

  async next(): Promise<Piece> {
    const pieces = Math.ceil(this.of / this.rows);
    const [index, first] = [Math.floor(this.made / pieces), (this.made % pieces) * this.rows];
    if (this.made === this.failing) throw new Error('the store is away');
    this.made++;
    const count = Math.min(this.rows, this.of - first);
    const images = new Uint8Array(count * this.size);
    const tokens = new Int32Array(count * words);
    for (let i = 0; i < count; i++) {
      if (this.size === pixels) for (let j = 0; j < pixels; j++) images[i * pixels + j] = pixel(index, first + i, j);
      else images.fill(pixel(index, first + i, 0), i * this.size, (i + 1) * this.size);
      for (let j = 0; j < words; j++) tokens[i * words + j] = token(index, first + i, j);
    }
    const shapes = Float32Array.from({ length: count }, (_, i) => (first + i) / 3);
    const described = Array.from({ length: count }, (_, i) => ({
      key: `${index}/${first + i}`,
      text: '',
      source: null,
    }));
    const skipped = [{ shard: 's', name: `${index}/${first}`, reason: 'torn' }];
    return { index, first, count, of: this.of, images, tokens, parts: { shapes }, described, skipped };
  }

  async close(): Promise<void> {}
}

const open = (loader: Loader, held: number, file: SpillFile | null = new SpillFile(folder, 2 ** 16)) =>
  new KeptBatches(loader, new PieceStore(file, held));

const expected = (k: number, rows: readonly number[]) => ({
  images: rows.flatMap((i) => Array.from({ length: pixels }, (_, j) => pixel(k, i, j))),
  tokens: rows.flatMap((i) => Array.from({ length: words }, (_, j) => token(k, i, j))),
  shapes: rows.map((i) => Math.fround(i / 3)),
});
const plain = (arrays: Readonly<Record<string, ArrayLike<number>>>) =>
  Object.fromEntries(Object.entries(arrays).map(([name, values]) => [name, Array.from(values)]));
const range = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i);

describe('rows of a batch', () => {
  // All in memory, some of it, and none but what is being written.
  it.each([
    ['in memory', 1e9],
    ['half on the disk', 8 * 80],
    ['on the disk', 0],
  ])('are what was made, in micro-batches of any size, twice, and picked, %s', async (_, held) => {
    const source = open(new Loader(23, 4), held);
    for (const k of [0, 1]) {
      const batch = await source.next();
      expect([batch.index, batch.count]).toEqual([k, 23]);
      for (const micro of [5, 4, 23, 1]) {
        for (let first = 0; first < 23; first += micro) {
          const count = Math.min(micro, 23 - first);
          expect(plain(await batch.rows(first, count))).toEqual(expected(k, range(first, count)));
        }
      }
      expect(Object.keys(await batch.rows(3, 9, { names: ['tokens'] }))).toEqual(['tokens']);
      const picks = [0, 3, 4, 11, 12, 22];
      const chosen = await batch.picked(Int32Array.from(picks), ['images']);
      const facts = await batch.facts();
      batch.close();
      const { images: __, ...rest } = expected(k, picks);
      expect(plain(await chosen.rows(0, 6))).toEqual(rest);
      expect(facts.described!.map(({ key }) => key)).toEqual(range(0, 23).map((i) => `${k}/${i}`));
      expect(facts.skipped.map(({ name }) => name)).toEqual([0, 4, 8, 12, 16, 20].map((first) => `${k}/${first}`));
      expect(await chosen.facts()).toEqual({ index: k, skipped: facts.skipped });
      chosen.close();
      await expect(batch.rows(0, 1)).rejects.toThrow('row 0 of batch');
    }
    // It has no name from its first byte on, so that a kill leaves nothing.
    expect(await readdir(folder)).toEqual([]);
    await source.close();
  });

  it('that are read once are let go as they are read, and of a batch that nobody reads the next begins all the same', async () => {
    const loader = new Loader(20, 2);
    const source = open(loader, 1e9);
    const first = await source.next();
    await first.rows(0, 6, { last: true });
    await expect(first.rows(0, 1)).rejects.toThrow('row 0 of batch 0 was let go before');
    expect(loader.made).toBe(3);
    first.close();
    const second = await source.next();
    expect(plain(await second.rows(18, 2))).toEqual(expected(1, [18, 19]));
    await source.close();
  });

  it('that cannot be made are told to whoever needs them, and no one before', async () => {
    const source = open(new Loader(8, 2, pixels, 2), 1e9);
    const batch = await source.next();
    expect(plain(await batch.rows(0, 4))).toEqual(expected(0, range(0, 4)));
    await expect(batch.rows(4, 2)).rejects.toThrow('the store is away');
    await source.close();
  });

  it('are not made further ahead than they are asked for while all is in memory, and onto the disk beside a large batch', async () => {
    const small = new Loader(8, 2);
    const calm = open(small, 1e9);
    await (await calm.next()).rows(0, 8, { last: true });
    expect(small.made).toBe(4);
    await calm.close();
    const large = new Loader(8, 2);
    const busy = open(large, 0);
    const batch = await busy.next();
    await batch.rows(0, 8);
    expect(large.made).toBe(4);
    await batch.rows(0, 2, { last: true });
    await expect.poll(() => large.made).toBeGreaterThan(4);
    await batch.rows(2, 6, { last: true });
    expect(plain(await (await busy.next()).rows(0, 8))).toEqual(expected(1, range(0, 8)));
    await busy.close();
  });
});

describe('a large batch', () => {
  it.skipIf(fullDisk.how !== 'a file system of 8 MB')(
    'that finds no room on the disk ends in one sentence',
    async () => {
      const small = join(folder, 'small');
      const disk = fullDisk.make(small);
      try {
        const source = open(new Loader(1024, 64, 16_384), 0, new SpillFile(small, 64 * 16_500));
        const batch = await source.next();
        await expect(batch.rows(0, 1024)).rejects.toMatchObject({
          code: 'DiskFull',
          message: `the disk is full: could not write the pictures of a large batch below ${small}; free space there and start it again, then it goes on where it was`,
        });
        await source.close();
      } finally {
        disk.remove();
      }
    },
  );

  it('of half a gigabyte takes no more memory than it may, and two passes over it read the same bytes', async () => {
    const [count, rows, size, held, micro] = [32_768, 512, 16_384, 64 * 2 ** 20, 256];
    const source = open(new Loader(count, rows, size), held, new SpillFile(folder, rows * (size + 64)));
    const before = process.memoryUsage().arrayBuffers;
    const batch = await source.next();
    let peak = 0;
    const pass = async (last: boolean) => {
      const hash = createHash('sha256');
      for (let first = 0; first < count; first += micro) {
        const { images } = await batch.rows(first, micro, { names: ['images'], last });
        hash.update(images!.subarray(0, size)).update(images!.subarray(-size));
        if (first % 4096 !== 0) continue;
        collectGarbage();
        peak = Math.max(peak, process.memoryUsage().arrayBuffers - before);
      }
      return hash.digest('hex');
    };
    const once = await pass(false);
    expect(peak).toBeGreaterThan(held / 2);
    expect(await pass(true)).toBe(once);
    // Pieces on their way, a micro-batch, and what is not yet collected.
    expect(peak).toBeLessThan(held + 8 * rows * size);
    await source.close();
  }, 60_000);
});
