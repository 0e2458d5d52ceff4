import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { statsOfData } from '../../src/commands/data-stats.ts';
import { formatStats } from '../../src/commands/format-stats.ts';
import { mostPageBytes, statsPage } from '../../src/commands/stats-page.ts';
import { evenly } from '../../src/runtime/evenly.ts';
import { img2dataset, picture } from '../data/img2dataset.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { type RawMember, tarOf } from '../data/tar-file.ts';

/** A disc before a slope. */
const scenery = (i: number, width: number, height: number) =>
  sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 240" preserveAspectRatio="none" width="${width}" height="${height}"><rect width="320" height="240" fill="#dde"/>
        <circle cx="${60 + 45 * i}" cy="90" r="55" fill="#c33"/><path d="M0 ${60 * i} L320 240 L0 240" fill="#246"/></svg>`,
    ),
  )
    .png()
    .toBuffer();

async function stats(objects: Record<string, Buffer>, options: { all?: boolean; pictures?: number } = {}) {
  const store = new MemoryStore();
  for (const [key, body] of Object.entries(objects)) await store.put(key, body);
  const notes: string[] = [];
  const found = await statsOfData(store, 'data/x', {
    ...{ all: true, pictures: 0, note: (text: string) => notes.push(text) },
    ...options,
  });
  return { ...found, notes };
}

describe('what data are', () => {
  const long = 'a dog that runs '.repeat(30);
  const scene = {
    captions: { en: ['<script>alert(1)</script> & "dogs"', 'dog'], de: ['\u202eHund\u001b[31m'] },
    regions: [{ caption: 'a <b>dog</b>', box: [0.25, 0, 1, 0.5] }],
    source: 'zoo',
  };
  async function ownShard(): Promise<Buffer> {
    const photo = await scenery(1, 640, 300);
    const members: RawMember[] = [
      { name: 'a.png', body: photo },
      { name: 'a.json', body: JSON.stringify(scene) },
      { name: 'b.png', body: photo },
      { name: 'b.json', body: JSON.stringify({ captions: { en: [long] } }) },
      { name: 'c.jpg', body: await sharp(photo).resize(320, 150).jpeg({ quality: 95 }).toBuffer() },
      { name: 'c.json', body: JSON.stringify({ captions: { en: ['a dog'] } }) },
      {
        name: 'd.webp',
        body: await sharp(await scenery(3, 90, 200))
          .webp()
          .toBuffer(),
      },
      { name: 'd.json', body: JSON.stringify({ captions: { fr: ['un chien'] } }) },
      { name: 'e.jpg', body: (await picture(1)).subarray(0, 200) },
      { name: 'e.json', body: JSON.stringify({ captions: { en: ['cut'] } }) },
      { name: 'f.jpg', body: await picture(2) },
      { name: 'g.jpg', body: await picture(3) },
      { name: 'g.json', body: '{"captions": {"en"' },
    ];
    return tarOf(members);
  }

  it('is counted: sizes, languages, lengths, copies, boxes, and each member that can not be used by reason', async () => {
    const { stats: found } = await stats({ 'data/x/0.tar': await ownShard() });
    expect(found).toMatchObject({
      shards: 1,
      looked: { shards: 1, examples: 7, read: 6 },
      examples: 4,
      formats: { PNG: 2, JPEG: 1, WebP: 1 },
      width: { min: 90, median: 320, max: 640 },
      height: { min: 150, median: 200, max: 300 },
      aspects: { 'over 2:1': 3, 'under 1:2': 1 },
      languages: { en: 3, de: 1, fr: 1 },
      sources: { zoo: 1 },
      textsOfExample: { min: 1, max: 3 },
      texts: 6,
      tokens: { max: 65 },
      cutAt: { 16: 1, 32: 1, 64: 1 },
      regions: { examples: 1, regions: 1 },
      copies: { followed: 4, copies: 1, all: true },
      nearCopies: { compared: 4, copies: 2, all: true },
    });
    expect(found.broken.members).toBe(3);
    expect(found.list.map(({ shard, name, reason }) => `${shard} ${name}: ${reason.split(':')[0]}`)).toEqual([
      'data/x/0.tar f: no JSON member',
      "data/x/0.tar e: the JPEG image can't be decoded",
      'data/x/0.tar g: the JSON member is not JSON',
    ]);
    const text = formatStats(found);
    expect(text).toContain('copies:             25.0 % are a copy of another, byte for byte (1 of 4)');
    expect(text).toContain('texts that are cut: 16.7 % at 16, 16.7 % at 24, 16.7 % at 32, 16.7 % at 64');
    expect(text).toContain('1 time: no JSON member, such as data/x/0.tar, f');
  });

  it('is shown on a page on which the data are text and nothing else, the same each time', async () => {
    const objects = { 'data/x/0.tar': await ownShard() };
    const { stats: found, shown } = await stats(objects, { pictures: 3 });
    const page = statsPage(found, shown);
    const again = await stats(objects, { pictures: 3 });
    expect(statsPage(again.stats, again.shown)).toBe(page);
    expect(page.match(/<img /g)).toHaveLength(3);
    const all = await stats(objects, { pictures: 60 });
    const whole = statsPage(all.stats, all.shown);
    expect(whole.match(/<img /g)).toHaveLength(4);
    expect(whole).toContain('&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;dogs&quot;');
    expect(whole).toContain('<div style="top:25.00%;left:0.00%;height:75.00%;width:50.00%"><span><bdi>a &lt;b&gt;dog');
    for (const harm of ['<script', '\u202e', '\u001b']) expect(whole).not.toContain(harm);
    expect(whole).toContain(`"default-src 'none'; img-src data:; style-src 'unsafe-inline'"`);
    // A thumbnail is a picture of its own, and small.
    const [, data] = /src="data:image\/webp;base64,([^"]+)"/.exec(whole)!;
    const { width, height } = await sharp(Buffer.from(data!, 'base64')).metadata();
    expect(Math.max(width, height)).toBeLessThanOrEqual(256);
    const huge = Array.from({ length: 60 }, (_, i) => ({
      ...all.shown[0]!,
      name: `${i}`,
      thumbnail: Buffer.alloc(2 ** 18),
    }));
    expect(Buffer.byteLength(statsPage(all.stats, huge))).toBeLessThan(mostPageBytes);
  });

  it('is looked at evenly spread where not all is, and says how far it is', async () => {
    const body = await img2dataset(Array.from({ length: 130 }, (_, j) => `picture ${j}`));
    const shards = Array.from({ length: 20 }, (_, i) => [`data/x/${String(i).padStart(2, '0')}.tar`, body] as const);
    const { stats: found, notes } = await stats(Object.fromEntries(shards), { all: false });
    expect(found).toMatchObject({ shards: 20, looked: { shards: 16, examples: 16 * 130, read: 2000 }, examples: 2000 });
    expect(notes.at(-1)).toBe('15 of 16 shards and 2,000 examples looked at');
    expect(formatStats(found)).toContain('16 shards with 2,080 examples, of which 2,000 were read, evenly spread');
    expect(evenly([0, 1, 2, 3, 4, 5, 6, 7, 8], 3)).toEqual([0, 4, 8]);
    expect([evenly([1, 2], 1), evenly([1, 2], 5)]).toEqual([[1], [1, 2]]);
  });
});
