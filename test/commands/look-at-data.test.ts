import { describe, expect, it } from 'vitest';
import { formatLook, type LookOptions, lookAtData } from '../../src/commands/look-at-data.ts';
import { readSchema } from '../../src/recipe/reading.ts';
import { img2dataset, keyOf, picture } from '../data/img2dataset.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { type RawMember, tarOf } from '../data/tar-file.ts';

const captions = Array.from({ length: 8 }, (_, i) => (i === 3 ? null : `a picture of ${i}`));

async function look(objects: Record<string, Buffer | string>, options: Partial<LookOptions> = {}) {
  const store = new MemoryStore();
  for (const [key, body] of Object.entries(objects)) await store.put(key, body);
  return lookAtData(store, 'data/x', { all: false, ...options });
}

/** A shard of pictures, each with these members beside it. */
async function shardOf(beside: (i: number) => readonly (readonly [string, string])[], count = 4): Promise<Buffer> {
  const members: RawMember[] = [];
  for (let i = 0; i < count; i++) {
    members.push({ name: `${i}.jpg`, body: await picture(i) });
    for (const [extension, body] of beside(i)) members.push({ name: `${i}.${extension}`, body });
  }
  return tarOf(members);
}

describe('a look at the data of strangers', () => {
  it('finds the captions of img2dataset, five examples and what is broken, and gives the lines for the recipe', async () => {
    const objects = { 'data/x/00000.tar': await img2dataset(captions), 'data/x/00000.parquet': 'PAR1' };
    const found = await look({ ...objects, 'data/x/00001.tar': await img2dataset(captions, 8) });
    expect(found).toMatchObject({
      shards: 2,
      members: { '.jpg': 8, '.json': 8, '.txt': 8 },
      looked: { shards: 1, examples: 7 },
      read: { captions: 'txt', language: 'en' },
      examples: 7,
      languages: { en: 7 },
      list: [{ shard: 'data/x/00000.tar', name: keyOf(3), reason: 'empty txt member' }],
    });
    expect(found.shown.map(({ key, width, captions }) => [key, width, captions.en])).toEqual(
      [0, 1, 2, 4, 5].map((i) => [keyOf(i), 24, [captions[i]]]),
    );
    const text = formatLook(found);
    expect(text).toContain(
      '"data": {"train":"data/x","shuffle":{"examples":50000},"read":{"captions":"txt","language":"en"},"resize":"antialias"}',
    );
    expect(text).toContain('000000001, 24 x 16: en "a picture of 1"');
    expect(text).toContain('data/x/00000.tar, 000000003: empty txt member');
  });

  it('looks at every shard and decodes every picture when it is told to, and lists what fails', async () => {
    const good = await shardOf((i) => [['txt', `picture ${i}`]]);
    const bad = tarOf([
      { name: 'a.jpg', body: (await picture(1)).subarray(0, 200) },
      { name: 'a.txt', body: 'cut short' },
      { name: 'b.txt', body: 'alone' },
    ]);
    const found = await look({ 'data/x/0.tar': good, 'data/x/1.tar': bad }, { all: true });
    expect([found.looked, found.examples]).toEqual([{ shards: 2, examples: 5 }, 5]);
    expect(found.list.map(({ shard, name, reason }) => `${shard} ${name} ${reason.split(':')[0]}`)).toEqual([
      'data/x/1.tar b no image member',
      "data/x/1.tar a the JPEG image can't be decoded",
    ]);
    expect(found.broken!.reasons.map(({ members }) => members)).toEqual([1, 1]);
  });

  it.each<[string, (i: number) => [string, string][], object | null]>([
    ['our own JSON', (i) => [['json', JSON.stringify({ captions: { en: [`dog ${i}`] } })]], null],
    ['a field with one text', (i) => [['json', `{"text": "dog ${i}"}`]], { captions: 'json', field: 'text' }],
    [
      'a field with texts of several languages beside one text',
      (i) => [
        ['json', `{"caption": {"en": "dog ${i}", "de": ["Hund"]}}`],
        ['txt', `dog ${i}`],
      ],
      { captions: 'json', field: 'caption' },
    ],
    ['several lines of a text', () => [['txt', 'a dog\na brown dog\n\nit runs\n']], { captions: 'lines' }],
    [
      'a text and a class',
      (i) => [
        ['txt', 'a dog'],
        ['cls', `${i}`],
      ],
      { captions: 'txt', class: 'cls' },
    ],
  ])('reads %s', async (_, beside, read) => {
    const found = await look({ 'data/x/0.tar': await shardOf(beside) });
    expect([found.read, found.broken]).toEqual([read && { language: 'en', ...read }, null]);
  });

  it('reads classes by the classnames.txt beside the shards or above them, as CLIP_benchmark has it', async () => {
    const names = 'tench\n\n goldfish \ncrane\ncrane\n';
    const cls = { 'data/x/0.tar': await shardOf((i) => [['cls', `${i}\n`]]), 'data/classnames.txt': names };
    const found = await look(cls);
    expect(found.read).toEqual({
      captions: 'class',
      language: 'en',
      class: 'cls',
      classnames: 'data/classnames.txt',
    });
    // Two classes of one name stay two.
    expect(found.shown.map(({ concept, captions }) => [concept, captions.en])).toEqual([
      ['0', ['tench']],
      ['1', ['goldfish']],
      ['2', ['crane']],
      ['3', ['crane']],
    ]);
    const txt = { 'data/x/0.tar': await shardOf((i) => [['txt', i < 2 ? 'tench' : 'goldfish']]) };
    expect((await look({ ...txt, 'data/x/classnames.txt': names })).read).toMatchObject({
      captions: 'class',
      class: 'txt',
      classnames: 'data/x/classnames.txt',
    });
  });

  it('says of what nothing reads what was seen and what would be needed', async () => {
    const npy = await shardOf(() => [
      ['npy', 'x'],
      ['seg.png', 'y'],
    ]);
    await expect(look({ 'data/x/0.tar': npy })).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringMatching(
        /^data: nothing reads the shards below data\/x\/: they have 4 \.jpg, 4 \.npy, 4 \.seg\.png; needed are pictures .*\.txt.*\.json.*\.cls/,
      ),
    });
    await expect(look({ 'data/x/a.parquet': 'PAR1', 'data/x/b/1.jpg': 'x', 'data/x/b/2.jpg': 'x' })).rejects.toThrow(
      /no .tar shards below data\/x\/ .*; what lies there is 2 \.jpg, 1 \.parquet; needed: WebDataset shards/,
    );
    await expect(look({ 'data/x/0.tar': Buffer.alloc(0) })).rejects.toThrow(/they have nothing that is whole/);
  });

  it('takes a mapping that it is told, and shows what others mean by it in harmless characters', async () => {
    const shard = await shardOf((i) => [['json', JSON.stringify({ alt: `red\u001b[31m \u202e${i}`, caption: 'no' })]]);
    const read = readSchema.parse({ captions: 'json', field: 'alt', language: 'he', draw: 'first' });
    const found = await look({ 'data/x/0.tar': shard }, { read });
    const text = formatLook(found);
    expect(text).toContain('he "red?[31m ?0"');
    expect(text).toContain(
      `"read":{"captions":"json","language":"he","field":"alt","draw":"first"},"captions":[{"language":"he","weight":1}],"resize":"antialias"}`,
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
  });
});
