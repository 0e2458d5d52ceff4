import { expect, it } from 'vitest';
import { negativesIn } from '../../src/data/example/negatives.ts';
import { readExamples } from '../../src/data/example/read-examples.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import { negativesOf } from '../../src/packing/negatives.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { MemoryStore, storeOf } from '../data/memory-store.ts';
import { tarOf } from '../data/tar-file.ts';
import { bytesOf, listOf, type ParquetColumn, parquetFile, textOf } from './parquet-file.ts';
import { scene } from './pictures.ts';
import { runPack } from './run.ts';

const languages = ['en', 'de', 'fr'];
const pictures = await Promise.all(Array.from({ length: 6 }, (_, i) => scene(i)));
/** As people have them: by whatever language, by language, none, with blanks and numbers, with one that is a caption too. */
const said: readonly { readonly captions: unknown; readonly negatives?: unknown }[] = [
  { captions: ['a cup on a book'], negatives: ['a book on a cup', ' a cup beside a book ', 'A book on a cup'] },
  { captions: { en: ['a cat'], de: ['eine Katze'] }, negatives: { de: ['ein Hund'], en: ['a dog', 'a cow'] } },
  { captions: 'nothing is wrong' },
  { captions: { en: ['four'], fr: ['quatre'] }, negatives: ['five', 4, '', 'Four', 'cinq'] },
  { captions: ['none'], negatives: null },
  { captions: ['nor here'], negatives: { de: [] } },
];

/** What training may draw as wrong for each example, in each language. */
async function drawable(store: MemoryStore, prefix: string) {
  const index = await indexData(store, prefix, { captions: 'json', field: 'captions', language: 'en' });
  const found = [];
  for await (const { meta } of readExamples(store, index))
    found.push(languages.map((language) => negativesIn(meta, language)));
  return found;
}

const packed = async (objects: Readonly<Record<string, Buffer | string>>, settings: object = {}) => {
  const store = storeOf(objects);
  const report = await runPack(store, { from: 'in', to: 'out', ...settings });
  return { store, report };
};

const jsonl = (rows: readonly object[]) => ({
  ...Object.fromEntries(pictures.map((bytes, i) => [`in/${i}.png`, bytes])),
  'in/rows.jsonl': rows.map((row, i) => JSON.stringify({ file_name: `${i}.png`, ...row })).join('\n'),
});

it('carries over what data name as wrong for a picture: training draws from a pack what it draws from the same rows in shards', async () => {
  const store = new MemoryStore();
  const members = said.flatMap((row, i) => [
    { name: `${i}.png`, body: pictures[i]! },
    { name: `${i}.json`, body: JSON.stringify(row) },
  ]);
  store.objects.set('shards/0.tar', tarOf(members));
  const own = await drawable(store, 'shards');
  expect(own[1]).toEqual([['a dog', 'a cow'], ['ein Hund'], []]);
  expect(own[3]![0]).toEqual(['five', '4', 'cinq']);
  expect(await drawable((await packed(jsonl(said))).store, 'out')).toEqual(own);
});

it('carries them over from Parquet, which names its pictures or holds them', async () => {
  const lists = [['a book on a cup', 'a cup beside a book'], undefined, ['a dog']];
  const table = (image: ParquetColumn) =>
    parquetFile([
      image,
      { schema: [textOf('text')], data: ['a', 'b', 'c'] },
      { schema: listOf('negatives', textOf('element')), data: lists },
    ]);
  const named = await packed({
    ...jsonl([]),
    'in/rows.jsonl': '',
    'in/rows.parquet': table({ schema: [textOf('image')], data: ['0.png', '1.png', '2.png'] }),
  });
  const held = await packed({
    'in/rows.parquet': table({ schema: [bytesOf('image')], data: pictures.slice(0, 3) }),
  });
  for (const { store, report } of [named, held]) {
    expect(report).toMatchObject({ layout: 'parquet', examples: 3 });
    expect((await drawable(store, 'out')).map(([en]) => en)).toEqual([lists[0], [], lists[2]]);
  }
});

it('gives the picture that stays those of its copies, for the languages of the rows that name them', async () => {
  const rows = [
    { captions: { en: ['a cat'] }, negatives: ['a dog'] },
    { captions: { de: ['eine Katze'] }, negatives: ['ein Hund'] },
    // Alike but for what is wrong, and wrong there what is right here.
    { captions: { en: ['a cat'] }, negatives: { en: ['a cow', 'a dog'], fr: ['un chien'] } },
    { captions: { fr: ['un chat'] } },
    { captions: { en: ['a lynx'] }, negatives: ['a cat', 'a wolf'] },
  ];
  const copies = Object.fromEntries(rows.map((_, i) => [`in/${i}.png`, pictures[0]!]));
  const { store, report } = await packed({ ...jsonl(rows), ...copies });
  expect(report).toMatchObject({ examples: 1, duplicates: { exact: 4, texts: 4 } });
  expect(await drawable(store, 'out')).toEqual([[['a dog', 'a cow', 'a wolf'], ['ein Hund'], ['un chien']]]);
});

it('leaves out a row whose negatives are no texts, and says so', async () => {
  const wrong = [7, [{}], { en: 'a dog', de: 7 }, ['x'.repeat(70_000)]];
  const rows = ['a dog', ...wrong].map((negatives, i) => ({ captions: [`picture ${i}`], negatives }));
  const { report } = await packed(jsonl(rows));
  expect([report.read, report.examples]).toEqual([5, 1]);
  const counts = Object.entries(report.dropped).map(([reason, { pictures }]) => [reason, pictures]);
  expect(Object.fromEntries(counts)).toEqual({
    'negatives is no list of texts, such as ["a cat on a table"], nor lists by language': 2,
    'negatives.... is not a text': 1,
    'a text of negatives is too long': 1,
  });
  // One text is a list of one, as captions are: a table of commas has no lists.
  expect([negativesOf('a dog'), negativesOf({ en: 'a dog' }), negativesOf(''), negativesOf([12n])]).toEqual([
    ['a dog'],
    { en: ['a dog'] },
    undefined,
    ['12'],
  ]);
});

it('writes the bytes that it has always written where no row names any', async () => {
  // Of one pixel each, so that no library that draws or decodes has a say in it.
  const png = (colour: string) => Buffer.from(`${head}${colour}`, 'base64');
  const head = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk';
  const red = png('+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==');
  const store = new MemoryStore();
  for (const i of [0, 1]) store.objects.set(`in/${i}.png`, red);
  const region = { caption: 'a part', box: [0, 0, 1, 1] };
  store.objects.set(
    'in/rows.jsonl',
    Buffer.from(
      [
        { file_name: '0.png', caption: 'red', label: 'colour', source: 'web', regions: [region] },
        { file_name: '1.png', caption: { en: 'a red dot', de: 'ein roter Punkt' } },
        { file_name: '2.png', caption: 'it is not there' },
      ]
        .map((row) => JSON.stringify(row))
        .join('\n'),
    ),
  );
  const written: string[] = [];
  const put = store.put.bind(store);
  store.put = (key, body, options) => {
    // By these a pack goes on that an older release has begun.
    if (/^out\/_pack\/(parts|texts|hashes)\//.test(key)) written.push(`${sha256(Buffer.from(body as string))}  ${key}`);
    return put(key, body, options);
  };
  await runPack(store, { from: 'in', to: 'out', format: 'original' });
  expect(written.sort()).toEqual([
    '50cfce9ceb2b9b5460ce3ea294088b3459cc6097b7fb54155245b3b2c5c427ee  out/_pack/parts/00000.json',
    'a2d7500c06fa558f5c173680eaf89d7f253061837258e005084a1385ad07d8ad  out/_pack/texts/00000.bin',
    'd912cc5ea69d4a4cef3ebf46c6ac268d6cbabccd9ffa83313fd0d3e22b515f91  out/_pack/hashes/00000.bin',
  ]);
  expect(sha256(store.objects.get('out/pack-00000-00.tar')!)).toBe(
    'ce5416385b9a425b88fc6f37c16859d8e48d610dab2fbc846a232fc9634e4dbf',
  );
});
