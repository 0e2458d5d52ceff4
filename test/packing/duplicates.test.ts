import sharp, { type Sharp } from 'sharp';
import { expect, it } from 'vitest';
import { readConcepts } from '../../infra/emoji/concepts.ts';
import { draw } from '../../infra/emoji/draw.ts';
import { readIconNames, readStyle } from '../../infra/emoji/icons.ts';
import { trainStyles } from '../../infra/emoji/styles.ts';
import { decodeImage } from '../../src/data/example/decode.ts';
import { type Fingerprint, fingerprint } from '../../src/data/near/fingerprint.ts';
import { bandOf, bands, bitsApart, mostBits, thumbsNear } from '../../src/data/near/near.ts';
import { type Hashed, hashFile, sectionPlace } from '../../src/packing/hash-file.ts';
import { Partition } from '../../src/packing/partition.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { scene } from './pictures.ts';
import { examplesBelow, runPack } from './run.ts';

const printOf = async (bytes: Uint8Array) => fingerprint(await decodeImage(bytes));
const isNear = (a: Fingerprint, b: Fingerprint) =>
  bitsApart(a.high, a.low, b.high, b.low) <= mostBits && thumbsNear(a.thumb, b.thumb);
const meet = (a: Fingerprint, b: Fingerprint) =>
  Array.from({ length: bands }, (_, band) => band).some(
    (band) => bandOf(a.high, a.low, band) === bandOf(b.high, b.low, band),
  );

it('joins copies of photographs in other sizes and qualities, and none of 150 that differ', async () => {
  const copies: Readonly<Record<string, (image: Sharp) => Sharp>> = {
    'JPEG at 75': (image) => image.jpeg({ quality: 75 }),
    'JPEG at 30': (image) => image.jpeg({ quality: 30 }),
    'WebP at 60': (image) => image.webp({ quality: 60 }),
    'half the size': (image) => image.resize(160, 120, { fit: 'fill' }).jpeg({ quality: 80 }),
    'twice the size': (image) => image.resize(640, 480, { fit: 'fill' }).jpeg({ quality: 80 }),
  };
  const photos = await Promise.all(Array.from({ length: 30 }, (_, i) => scene(i, 320, 240)));
  const prints = await Promise.all(photos.map(printOf));
  const found: Record<string, number> = {};
  for (const [name, make] of Object.entries(copies)) {
    const made = await Promise.all(photos.map(async (bytes) => printOf(await make(sharp(bytes)).toBuffer())));
    found[name] = made.filter((print, i) => isNear(print, prints[i]!) && meet(print, prints[i]!)).length;
  }
  expect(
    Object.values(found).every((count) => count >= 29),
    JSON.stringify(found),
  ).toBe(true);
  const others = await Promise.all(Array.from({ length: 150 }, async (_, i) => printOf(await scene(1000 + i, 96, 64))));
  const wrong = others.flatMap((a, i) => others.slice(i + 1).filter((b) => isNear(a, b)));
  expect(wrong.length).toBe(0);
});

it('joins of 80,000 pairs of emoji in one style those alone that look the same, where the hash alone joins many more', async () => {
  const concepts = readConcepts();
  const icons = readStyle(trainStyles[0]!, concepts, readIconNames(concepts));
  const prints: Fingerprint[] = [];
  for (const svg of [...icons.values()].slice(0, 400)) prints.push(await printOf(await draw(svg)));
  let [pairs, byHash, joined, same] = [0, 0, 0, 0];
  for (const [i, a] of prints.entries())
    for (const b of prints.slice(0, i)) {
      pairs++;
      if (bitsApart(a.high, a.low, b.high, b.low) > mostBits) continue;
      byHash++;
      if (a.exact.equals(b.exact)) same++;
      else if (isNear(a, b)) joined++;
    }
  expect([pairs > 79_000, byHash > 20, same + joined < 20, joined], `${pairs} ${byHash} ${same} ${joined}`).toEqual([
    true,
    true,
    true,
    joined,
  ]);
  // A person is hard put to tell these apart; they are counted, so that a change of the bounds shows.
  expect(joined).toBeLessThanOrEqual(6);
});

it('finds in three partitions what a plain loop over all pairs finds', () => {
  const stream = randomStream(5, 'partitions');
  const word = () => Math.floor(stream.next() * 2 ** 32);
  const hashed: Hashed[] = [];
  for (let id = 0; id < 600; id++) {
    const from = id > 50 && stream.below(3) === 0 ? hashed[stream.below(id)]! : null;
    const flip = (value: number) => (stream.below(2) ? value : (value ^ (1 << stream.below(32))) >>> 0);
    const thumb = from
      ? from.thumb.map((value) => value + stream.below(3))
      : Uint8Array.from({ length: 304 }, () => stream.below(240));
    const exact =
      from && stream.below(2) ? from.exact : Buffer.from(Array.from({ length: 16 }, () => stream.below(256)));
    hashed.push({
      id,
      exact,
      text: stream.below(4),
      high: from ? flip(from.high) : word(),
      low: from ? flip(from.low) : word(),
      thumb,
    });
  }
  const plain = new Map<number, number>();
  for (const a of hashed) {
    const keeper = hashed.find((b) => b.id < a.id && (a.exact.equals(b.exact) || (isNear(a, b) && meet(a, b))));
    if (keeper) plain.set(a.id, keeper.id);
  }
  const found = new Map<number, number>();
  const files = [hashed.slice(0, 250), hashed.slice(250, 251), hashed.slice(251)].map((part) =>
    hashFile(part, 3, true),
  );
  for (let k = 0; k < 3; k++) {
    const partition = new Partition();
    for (const file of files) {
      const [offset, size] = sectionPlace(file.subarray(4 * k, 4 * k + 8));
      partition.add(file.subarray(offset, offset + size));
    }
    for (const { id, keeper } of partition.edges) found.set(id, Math.min(keeper, found.get(id) ?? id));
  }
  expect(plain.size).toBeGreaterThan(100);
  expect(found).toEqual(plain);
});

it('packs a picture and its texts once: the first stays, with the texts of all others, over parts and partitions', async () => {
  const store = new MemoryStore();
  const photos = await Promise.all([0, 1, 2].map((i) => scene(i, 320, 240)));
  const again = await sharp(photos[0]!).jpeg({ quality: 80 }).toBuffer();
  const smaller = await sharp(photos[0]!).resize(200, 150).webp({ quality: 80 }).toBuffer();
  const bytes = [photos[0]!, photos[1]!, again, photos[0]!, photos[2]!, smaller, photos[1]!];
  const texts = ['a', 'b', 'c', 'a', 'd', 'e', 'b'];
  for (const [i, body] of bytes.entries()) store.objects.set(`in/${i}.png`, body);
  store.objects.set(
    'in/metadata.jsonl',
    Buffer.from([...texts.entries()].map(([i, text]) => JSON.stringify({ file_name: `${i}.png`, text })).join('\n')),
  );
  const shown = async (to: string) => (await examplesBelow(store, to)).map(({ key, captions }) => [key, captions.en]);
  const near = await runPack(store, { from: 'in', to: 'near', partExamples: 2 }, 3);
  expect(near).toMatchObject({ read: 7, examples: 3, duplicates: { exact: 2, near: 2, texts: 2, crowded: 0 } });
  expect(await shown('near')).toEqual([
    ['0.png', ['a', 'c', 'e']],
    ['1.png', ['b']],
    ['4.png', ['d']],
  ]);
  const exact = await runPack(store, { from: 'in', to: 'exact', duplicates: 'exact' });
  expect(exact).toMatchObject({ examples: 5, duplicates: { exact: 2, near: 0, texts: 0 } });
  const all = await runPack(store, { from: 'in', to: 'all', duplicates: 'keep' });
  expect([all.examples, all.duplicates.exact]).toEqual([7, 0]);
});

it('goes on to the same bytes from any write that its process died before, or from every other one that it died after', async () => {
  const files = Object.fromEntries(
    await Promise.all([0, 1, 0, 2].map(async (seed, i) => [`in/${'abcd'[i]}.png`, await scene(seed)])),
  );
  const settings = { from: 'in', to: 'out', partExamples: 2, side: 32 };
  const dies = async (at: number, after: boolean) => {
    const store = new MemoryStore();
    for (const [key, body] of Object.entries(files)) store.objects.set(key, body as Buffer);
    let writes = 0;
    for (const name of ['put', 'delete'] as const) {
      const write = store[name].bind(store) as (...given: unknown[]) => Promise<never>;
      store[name] = async (...given: unknown[]) => {
        // Those of the probe of the store come first.
        const counts = String(given[0]).startsWith('out/') && ++writes === at;
        if (counts && !after) throw new Error('died');
        const answer = await write(...given);
        if (counts) throw new Error('died');
        return answer;
      };
    }
    if (at > 0) await expect(runPack(store, settings, 2)).rejects.toThrow('died');
    await runPack(store, settings, 2);
    const out = [...store.objects].filter(([key]) => key.startsWith('out/')).sort(([a], [b]) => (a < b ? -1 : 1));
    return { writes, bytes: out.map(([key, body]) => `${key} ${body.toString('base64')}`).join('\n') };
  };
  const calm = await dies(0, false);
  expect(calm.writes).toBe(45);
  for (let at = 1; at <= calm.writes; at++) expect((await dies(at, at % 2 === 0)).bytes, `${at}`).toBe(calm.bytes);
});
