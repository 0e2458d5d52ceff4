import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Annotated, annotateExamples } from '../../src/annotation/annotate-examples.ts';
import { overlap } from '../../src/annotation/boxes.ts';
import { ShardCounts } from '../../src/annotation/counts.ts';
import type { Asking } from '../../src/annotation/plan.ts';
import { bestTemplates } from '../../src/annotation/queries.ts';
import { fixture } from './expected.ts';
import { type Drawn, drawSquares, shardOf } from './squares.ts';

const folder = mkdtempSync(join(tmpdir(), 'annotate-'));
afterAll(() => rmSync(folder, { recursive: true }));

const asking: Asking = {
  language: 'en',
  ngrams: { longest: 10, most: 300 },
  categories: [],
  categoryScale: 0.3,
  templates: ['{}'],
  rules: { imageThreshold: 0.3, boxThreshold: 0.1, nms: 0.7, mostBoxes: 100 },
};

async function annotate(shard: Buffer, changes: Partial<Asking> = {}): Promise<Annotated[]> {
  const file = join(folder, 'shard.tar');
  writeFileSync(file, shard);
  const detector = { folder: fixture('colours'), name: 'colours' };
  const read = { captions: 'txt', language: 'en' } as const;
  const of = { key: 'data/x/0.tar', bytes: shard.length, etag: 'e' };
  const all: Annotated[] = [];
  const job = { file, shard: of, read, detector, asking: { ...asking, ...changes }, from: 0 };
  for await (const one of annotateExamples(job)) all.push(one);
  return all;
}

/** Found regions that are true ones, of all that were found and of all that are true: same words, overlap of more than `least`. */
function held(found: readonly Annotated[], drawn: readonly Drawn[], least: number) {
  let [right, given, real] = [0, 0, 0];
  for (const { name, regions: truth } of drawn) {
    const own = found.find((one) => 'name' in one && one.name === name);
    const regions = own && 'name' in own ? own.regions : [];
    given += regions.length;
    real += truth.length;
    right += truth.filter(({ caption, box }) =>
      regions.some((region) => region.caption === caption && overlap(region.box, box) > least),
    ).length;
  }
  return { precision: right / given, recall: right / real, real };
}

describe('regions of pictures whose true boxes are known', () => {
  it('are all of them and no others, to the pixel, where the detector sees the pixels as they are', async () => {
    const drawn = await Promise.all(Array.from({ length: 100 }, (_, i) => drawSquares(i)));
    expect(held(await annotate(shardOf(drawn)), drawn, 0.999)).toEqual({ precision: 1, recall: 1, real: 209 });
  });

  it.each([
    ['twice as large', 64, 64, 2],
    ['wide, with grey below', 64, 44, 1],
    ['high and three times as large', 40, 64, 3],
  ])('are found in pictures that are %s', async (_, width, height, scale) => {
    const drawn = await Promise.all(Array.from({ length: 40 }, (_, i) => drawSquares(i, width, height, scale)));
    const { precision, recall } = held(await annotate(shardOf(drawn)), drawn, 0.95);
    expect([precision, recall]).toEqual([1, 1]);
  });

  it('are found by categories in seven templates where the captions say nothing', async () => {
    const drawn = await Promise.all(Array.from({ length: 20 }, (_, i) => drawSquares(i)));
    const silent = drawn.map((one) => ({ ...one, caption: 'Photo of the' }));
    const categories = ['red', 'green', 'blue', 'yellow', 'black', 'purple'].map((colour) => `${colour} square`);
    const found = await annotate(shardOf(silent), { categories, templates: bestTemplates, categoryScale: 1 });
    const { recall } = held(found, drawn, 0.999);
    expect(recall).toBe(1);
    // What a caption leaves out is found too.
    expect(found.flatMap((one) => ('name' in one ? one.regions : [])).length).toBeGreaterThan(
      drawn.flatMap(({ regions }) => regions).length,
    );
    // Beside captions they count for three tenths: none of them is sure enough for a picture.
    const few = await annotate(shardOf(silent), { categories });
    expect(few.flatMap((one) => ('name' in one ? one.regions : []))).toEqual([]);
  });

  it('come with counts, and members that can not be used with their reasons', async () => {
    const drawn = await Promise.all([0, 1].map((i) => drawSquares(i)));
    const more = [
      { name: 'broken.png', body: drawn[0]!.picture.subarray(0, 60) },
      { name: 'broken.txt', body: 'a red square' },
      { name: 'alone.txt', body: 'a red square' },
      { name: 'silent.png', body: drawn[0]!.picture },
      { name: 'silent.txt', body: 'stock photo of the' },
    ];
    const found = await annotate(shardOf(drawn, more));
    const tally = new ShardCounts();
    for (const one of found) tally.add(one);
    const { counts, broken } = tally;
    const boxes = drawn.flatMap(({ regions }) => regions).length;
    expect(counts).toMatchObject({ pictures: 3, unasked: 1, withRegions: 2, boxes: { kept: boxes } });
    const { proposed, kept, ...dropped } = counts.boxes;
    expect(Object.values(dropped).reduce((sum, count) => sum + count, kept)).toBe(proposed);
    expect(broken!.members).toBe(2);
    expect(broken!.reasons.map(({ reason }) => reason).sort()).toEqual([
      'no image member',
      "the PNG image can't be decoded",
    ]);
  });
});
