import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { chooseCaption } from '../../../src/data/example/captions.ts';
import { countCaptions } from '../../../src/data/example/census.ts';
import { CorruptExample } from '../../../src/data/example/corrupt-example.ts';
import { checkSizes, metaOf } from '../../../src/data/example/example.ts';
import { readExamples } from '../../../src/data/example/read-examples.ts';
import { collectTokenIds } from '../../../src/data/example/token-ids.ts';
import { loadTokenizer } from '../../../src/data/example/tokenizer.ts';
import { indexData, type MappingSettings } from '../../../src/data/index/index-data.ts';
import { inlineShard } from '../../../src/data/index/open-index.ts';
import type { Mapping } from '../../../src/data/index/types.ts';
import { readSchema } from '../../../src/recipe/reading.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { img2dataset, metaOf as jsonOf, keyOf, picture } from '../img2dataset.ts';
import { MemoryStore } from '../memory-store.ts';
import { type RawMember, tarOf } from '../tar-file.ts';

const txt = { captions: 'txt', language: 'en' } as const;
const lines = { captions: 'lines', language: 'en' } as const;
const json = { captions: 'json', language: 'en' } as const;
const names = ['tench', 'goldfish', 'crane', 'crane'];
const cls: Mapping = { captions: 'class', language: 'en', class: 'cls', classnames: names };

/** What a member comes to: its captions, or why it can't be used. */
function readAs(read: Mapping, meta: Buffer | string, of?: Buffer | string): unknown {
  try {
    return metaOf('0001', read, Buffer.from(meta as string), of === undefined ? undefined : Buffer.from(of as string))
      .captions;
  } catch (error) {
    if (error instanceof CorruptExample) return error.message;
    throw error;
  }
}

describe('a member of strangers', () => {
  const large = 'ein Wort '.repeat(116_000).trim();
  it.each<[string, Mapping, Buffer | string, unknown]>([
    ['a text with blanks around it', txt, '\ufeff  a dog\r\n', { en: ['a dog'] }],
    ['a text of several lines, taken as one', txt, 'a dog\nruns', { en: ['a dog\nruns'] }],
    [
      'a text on each line',
      lines,
      'a dog\r\n\n a brown dog \u2028it runs\r',
      { en: ['a dog', 'a brown dog', 'it runs'] },
    ],
    ['a text from right to left', txt, 'כלב \u200fחום\u200e (dog)', { en: ['כלב \u200fחום\u200e (dog)'] }],
    [
      'combining marks, joiners and pairs',
      txt,
      'e\u0301 👨‍👩‍👧 x\u0300\u0301\u0302',
      { en: ['e\u0301 👨‍👩‍👧 x\u0300\u0301\u0302'] },
    ],
    ['a text of a megabyte', txt, large, { en: [large] }],
    ['a text that begins as a bzip2 file does', txt, 'BZh is short for Belzig', { en: ['BZh is short for Belzig'] }],
    ['blanks', txt, ' \u00a0\n\t', 'empty txt member'],
    ['Latin-1', txt, Buffer.from('caf\u00e9', 'latin1'), 'the txt member is not UTF-8: byte 3 is 0xe9'],
    ['UTF-16', txt, Buffer.from('\ufeffa dog', 'utf16le'), 'the txt member is UTF-16: save it as UTF-8'],
    [
      'a lone surrogate in UTF-8',
      txt,
      Buffer.from([0x61, 0xed, 0xa0, 0x80]),
      'the txt member is not UTF-8: byte 1 is 0xed',
    ],
    ['gzip', txt, gzipSync('a dog'), 'the txt member is not UTF-8: byte 1 is 0x8b'],
    [
      'a Git LFS pointer',
      txt,
      'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5\n',
      'the txt member is a Git LFS pointer: git lfs pull fetches the file itself',
    ],
    ['lines without any', lines, '\n \r\n', 'empty txt member'],
    ['JSON of img2dataset with NaN', json, jsonOf(1, 'NaN "and" -Infinity'), { en: ['NaN "and" -Infinity'] }],
    ['JSON without a caption', json, jsonOf(0, null), 'the JSON member has no caption, captions, text'],
    ['an empty caption', json, jsonOf(0, ' '), 'the JSON member has no text: caption is empty'],
    [
      'a field that is not there',
      { ...json, field: 'alt\u001b[0m' },
      '{"caption": "x"}',
      'the JSON member has no alt?[0m',
    ],
    ['a field of every object', { ...json, field: 'constructor' }, '{}', 'the JSON member has no constructor'],
    ['a field named __proto__', { ...json, field: '__proto__' }, '{"__proto__": "a dog"}', { en: ['a dog'] }],
    ['a list', { ...json, field: 'alt' }, '{"alt": ["a", " ", null, 7]}', { en: ['a', '7'] }],
    ['texts by language', json, '{"captions": {"en": "a", "de": ["b", "c"], "fr": []}}', { en: ['a'], de: ['b', 'c'] }],
    ['the first of the usual fields', json, '{"text": "c", "captions": null, "caption": ["a"]}', { en: ['a'] }],
    [
      'several fields, one after the other',
      { ...json, fields: [{ field: 'alt' }, { field: 'recaption' }] },
      '{"recaption": ["b", " "], "alt": "a", "caption": "c"}',
      { en: ['a', 'b'] },
    ],
    [
      'one of several fields alone',
      { ...json, fields: [{ field: 'alt' }, { field: 'recaption' }] },
      '{"alt": null, "recaption": "b"}',
      { en: ['b'] },
    ],
    [
      'none of several fields',
      { ...json, fields: [{ field: 'alt' }, { field: 're\u001bcaption' }] },
      '{"caption": "c"}',
      'the JSON member has no alt, re?caption',
    ],
    [
      'several fields that say nothing',
      { ...json, fields: [{ field: 'alt' }, { field: 'recaption' }] },
      '{"alt": "", "recaption": []}',
      'the JSON member has no text: alt, recaption are empty',
    ],
    [
      'a language in a field, and a field of another',
      { ...json, fields: [{ field: 'TEXT' }, { field: 're', language: 'en' }], languageField: 'LANGUAGE' },
      '{"TEXT": "ein Hund", "re": "a dog", "LANGUAGE": " de "}',
      { de: ['ein Hund'], en: ['a dog'] },
    ],
    ['a language that is not known', { ...json, languageField: 'lang' }, '{"text": "a", "lang": null}', { en: ['a'] }],
    ['no field with a language', { ...json, languageField: 'toString' }, '{"text": "a"}', { en: ['a'] }],
    [
      'a language of every object',
      { ...json, languageField: 'lang' },
      '{"text": "a", "lang": "__proto__"}',
      Object.fromEntries([['__proto__', ['a']]]),
    ],
    [
      'texts by language beside one',
      { ...json, languageField: 'lang' },
      '{"text": {"fr": "un chien"}, "lang": "de"}',
      { fr: ['un chien'] },
    ],
    [
      'a list of languages',
      { ...json, languageField: 'lang' },
      '{"text": "a", "lang": ["de"]}',
      'lang is not a text: a list',
    ],
    [
      'a language that is a sentence',
      { ...json, languageField: 'lang' },
      `{"text": "a", "lang": "${'it is German, or so it seems '.repeat(3)}"}`,
      'lang names no language: it is German, or so it seems it is German, or so it seems it',
    ],
    ['a key twice, of which JSON takes the last', json, '{"caption": "a", "caption": "b"}', { en: ['b'] }],
    ['an object in a list', json, '{"caption": [{"raw": "a"}]}', 'caption.0 is not a text: an object'],
    ['true', json, '{"caption": true}', 'caption is not a text: true'],
    ['lists within languages', json, '{"caption": {"en": [["a"]]}}', 'caption.en.0 is not a text: a list'],
    ['a bare text', json, '"a dog"', 'the JSON member has no caption, captions, text'],
    ['a list of examples', json, '[{"caption": "a"}]', 'the JSON member has no caption, captions, text'],
    ['JSON that was cut short', json, '{"caption": "a', 'the JSON member is not JSON'],
    ['NaN within a word', json, '{"caption": xNaN}', 'the JSON member is not JSON'],
    [
      'JSON in Latin-1',
      json,
      Buffer.from('{"caption": "é"}', 'latin1'),
      'the JSON member is not UTF-8: byte 13 is 0xe9',
    ],
    [
      'a page of a login',
      json,
      '<!doctype html><title>x</title>',
      'the JSON member is an HTML page, perhaps of a login or an error',
    ],
    ['deep JSON', json, `{"caption": ${'['.repeat(100_000)}`, 'the JSON member is not JSON'],
    ['a class', cls, '1\n', { en: ['goldfish'] }],
    ['a class by its name', cls, 'crane', { en: ['crane'] }],
    ['a class beyond the last', cls, '4', 'the cls member names none of the 4 classes: 4'],
    ['a class below the first', cls, '-1', 'the cls member names none of the 4 classes: -1'],
    ['a class that is no number', cls, '1.5', 'the cls member names none of the 4 classes: 1.5'],
    ['a class of a pickle', cls, Buffer.from([0x80, 4, 0x4b, 1]), 'the cls member is not UTF-8: byte 0 is 0x80'],
  ])('with %s', (_, read, bytes, outcome) => {
    expect(readAs(read, bytes)).toEqual(outcome);
  });

  it('has its class as concept, of one name or two, and only what the mapping names', () => {
    const of = (read: Mapping, meta: string, own?: string) =>
      metaOf('0001', read, Buffer.from(meta), own === undefined ? undefined : Buffer.from(own));
    expect([of(cls, '2').concept, of(cls, '3').concept, of(cls, 'crane').concept]).toEqual(['2', '3', '2']);
    expect(of({ ...txt, class: 'cls' }, 'a dog', '07')).toEqual({
      key: '0001',
      captions: { en: ['a dog'] },
      concept: '7',
    });
    expect(of({ ...json, class: 'txt' }, '{"text": "x"}', ' tench ').concept).toBe('tench');
    expect(readAs({ ...txt, class: 'cls' }, 'a dog', 'dog')).toBe('the cls member has no number of a class: dog');
    expect(readAs({ ...json, class: 'txt' }, '{"text": "x"}', 'y'.repeat(513))).toBe(
      'the txt member has 513 characters, and no class has more than 512',
    );
    // Theirs: a column of a table, and no part of our form.
    const own = '{"caption": "a", "key": 7, "source": ["x"], "concept": {}, "regions": "none"}';
    expect(of(json, own)).toEqual({ key: '0001', captions: { en: ['a'] }, concept: '0001' });
  });

  it('is not read when it is too large, nor is its picture', () => {
    const entry = { name: 'a', image: { offset: 0, size: 9 }, meta: { offset: 9, size: 2 ** 20 + 1 } };
    expect(() => checkSizes(entry, txt)).toThrow('the txt member is too large: 1048577 bytes, at most 1048576');
    expect(() => checkSizes({ ...entry, meta: entry.image, class: entry.meta }, { ...txt, class: 'cls' })).toThrow(
      'the cls member is too large',
    );
    expect(() => checkSizes({ ...entry, meta: entry.image, image: { offset: 0, size: 2 ** 28 + 1 } }, txt)).toThrow(
      'the image member is too large',
    );
  });
});

describe('a shard of strangers', () => {
  const indexed = async (members: readonly RawMember[] | Buffer, mapping: MappingSettings) => {
    const store = new MemoryStore();
    await store.put('d/0.tar', Buffer.isBuffer(members) ? members : tarOf(members));
    return { store, index: await indexData(store, 'd', mapping) };
  };

  it('gives the examples that have all that is asked for, and names each of the others with its reason', async () => {
    const pair = (name: string, kind = 'txt'): RawMember[] => [
      { name: `${name}.jpg`, body: 'image' },
      { name: `${name}.${kind}`, body: '7' },
    ];
    const { index } = await indexed(
      [
        ...pair('00/a'),
        { name: '00/a.json', body: '', damaged: false },
        { name: '00/a.npy', body: 'x' },
        ...pair('b', 'json'),
        { name: 'c.txt', body: 'alone' },
        ...pair('d'),
        { name: 'd.txt', body: 'again' },
        ...pair('e'),
        { name: 'e.webp', body: 'again' },
        { name: 'f.jpg', body: 'image' },
        { name: 'f.txt', body: '' },
        ...pair('../etc/passwd'),
        ...pair('g/../../h'),
        ...pair('/i'),
        ...pair('j\u202e'),
        ...pair('k.l'),
        ...pair('._m'),
        { name: 'o.jpg', body: 'image' },
        { name: 'o.txt', body: 'text', damaged: true },
        ...pair('p'),
        { name: 'q.jpg', body: 'image', size: 2 ** 33 - 1 },
      ],
      txt,
    );
    expect((await inlineShard(index, 0)).examples.map(({ name }) => name)).toEqual(['00/a', 'p']);
    expect(Object.fromEntries(index.corrupt.map(({ name, reason }) => [name, reason.split(':')[0]]))).toEqual({
      b: 'no txt member',
      c: 'no image member',
      d: 'more than one txt member',
      e: 'more than one image member',
      f: 'empty txt member',
      '../etc/passwd': 'name leads out of its folder',
      'g/../../h': 'name leads out of its folder',
      '/i': 'name is an absolute path',
      'j?': 'name has control characters, or marks that turn the direction of text',
      'byte 27648': 'broken tar header',
      o: 'no txt member',
      q: 'ends beyond the shard',
    });
    expect(index.read).toEqual(txt);
  });

  it('that was cut off is used as far as it goes', async () => {
    const whole = await img2dataset(['a', 'b', 'c', 'd']);
    const { index } = await indexed(whole.subarray(0, whole.length - 1024 - 700), txt);
    expect((await inlineShard(index, 0)).examples.map(({ name }) => name)).toEqual([0, 1, 2].map(keyOf));
    expect(index.corrupt.map(({ name, reason }) => [name, reason.split(':')[0]])).toEqual([
      ['byte 11264', 'the shard ends within a header'],
      [keyOf(3), 'no txt member'],
    ]);
  });

  it('needs the class that its mapping names, and says whose names are not there', async () => {
    const members: RawMember[] = [
      { name: 'a.jpg', body: await picture(1) },
      { name: 'a.cls', body: '1' },
      { name: 'a.txt', body: 'a dog' },
      { name: 'b.jpg', body: await picture(2) },
      { name: 'b.txt', body: 'a cat' },
      { name: 'c.cls', body: '9' },
      // Between class and text of one example there may be more than is read at once.
      { name: 'c.jpg', body: Buffer.alloc(5 * 2 ** 20, 1) },
      { name: 'c.txt', body: 'a cow' },
    ];
    const mapping = { ...txt, class: 'cls', classnames: 'd/classnames.txt' } as const;
    await expect(indexed(members, mapping)).rejects.toThrow('data: d/classnames.txt is not there');
    const store = new MemoryStore();
    await store.put('d/0.tar', tarOf(members));
    await store.put('d/classnames.txt', 'cat\ndog\n');
    const index = await indexData(store, 'd', mapping);
    expect([index.read?.classnames, index.corrupt]).toEqual([
      ['cat', 'dog'],
      [{ shard: 'd/0.tar', name: 'b', reason: 'no cls member' }],
    ]);
    const census = await countCaptions(store, index);
    expect([census.looked, [...census.unusable.keys()], [...census.broken]]).toEqual([
      2,
      ['the cls member names none of the 2 classes: 9'],
      [['d/0.tar', 1]],
    ]);
    // Other names are other data.
    await store.put('d/classnames.txt', 'dog\ncat\n');
    expect((await indexData(store, 'd', mapping)).fingerprint).not.toBe(index.fingerprint);
  });

  it('is read one part after another, though each picture lies before its texts', async () => {
    const captions = Array.from({ length: 5 }, (_, i) => `a picture of ${i}`);
    const { store, index } = await indexed(await img2dataset(captions), txt);
    store.gets = 0;
    const read: unknown[] = [];
    for await (const { meta, image } of readExamples(store, index)) read.push([meta.captions.en![0], image.width]);
    expect(read).toEqual(captions.map((text) => [text, 24]));
    // The index, and the shard.
    expect(store.gets).toBe(2);
  });

  it('has every token of texts that are drawn one by one, and no comma is needed for them', async () => {
    const tokenizer = loadTokenizer();
    const texts = ['Zebras graze', 'two animals', 'savannah\nat dusk'];
    const members = [
      { name: '0.jpg', body: await picture(0) },
      { name: '0.json', body: JSON.stringify({ captions: texts }) },
    ];
    const { store, index } = await indexed(members, json);
    const ids = new Set(await collectTokenIds(store, index, ['en']));
    for (const text of texts) expect(tokenizer.ids(text).filter((id) => !ids.has(id))).toEqual([]);
  });
});

describe('one of several captions', () => {
  const meta = { key: '', concept: '', captions: { en: ['a', 'b', 'c'], de: ['d'] } };
  const chosen = (draw: string, k: number) =>
    chooseCaption(
      meta,
      { captions: [{ language: 'en', weight: 1 }], labelShare: 1, read: readSchema.parse({ captions: 'txt', draw }) },
      randomStream(7, 'caption/x', k),
    );

  it('is drawn evenly for each example and epoch, and by the same numbers again', () => {
    const counts: Record<string, number> = {};
    for (let k = 0; k < 3000; k++) {
      const { text, plain } = chosen('one', k);
      expect([text, plain]).toEqual([chosen('one', k).text, text === 'a']);
      counts[text] = (counts[text] ?? 0) + 1;
    }
    expect(Object.keys(counts).sort()).toEqual(['a', 'b', 'c']);
    // Three standard deviations of 3000 draws of a third.
    for (const count of Object.values(counts)) expect(Math.abs(count - 1000)).toBeLessThan(78);
  });

  it('is the first, or label and tags as of our own JSON, where the recipe says so', () => {
    expect(chosen('first', 5)).toEqual({ text: 'a', language: 'en', plain: true });
    const own = { captions: [{ language: 'en', weight: 1 }], labelShare: 0.5 };
    const read = readSchema.parse({ captions: 'json', draw: 'joined' });
    for (let k = 0; k < 50; k++)
      expect(chooseCaption(meta, { ...own, read }, randomStream(1, 'x', k))).toEqual(
        chooseCaption(meta, own, randomStream(1, 'x', k)),
      );
  });
});
