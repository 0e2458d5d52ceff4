import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { tableStream } from '../../src/packing/table-stream.ts';
import { storeOf } from '../data/memory-store.ts';
import { scene } from './pictures.ts';
import { examplesBelow, runPack } from './run.ts';

const good = await scene(1);
const to = 'data/out';
const lines = (...rows: (object | string)[]) =>
  rows.map((row) => (typeof row === 'string' ? row : JSON.stringify(row))).join('\n');

/** What is left out beside a row that is good, by reason. */
async function dropped(row: object | string, objects: Readonly<Record<string, Buffer | string>> = {}) {
  const store = storeOf({
    'in/ok.png': good,
    ...objects,
    'in/rows.jsonl': lines({ file_name: 'ok.png', text: 'fine' }, row),
  });
  const report = await runPack(store, { from: 'in', to });
  expect([report.read, report.examples]).toEqual([2, 1]);
  const [[reason, { names }]] = Object.entries(report.dropped) as unknown as [[string, { names: string[] }]];
  return [reason, ...names].join(' | ');
}

describe('a row that is left out is named with its reason, and the others are packed', () => {
  it.each<[string, object | string, RegExp]>([
    [
      'no JSON',
      '{"file_name": "a.png", "text": ',
      /^the line can't be read \| rows.jsonl line 2: the line can't be read: it is not JSON$/,
    ],
    ['a list', '[1]', /^the line is no JSON object \| rows.jsonl line 2$/],
    [
      'not UTF-8',
      Buffer.from('{"text": "\xff"}', 'latin1').toString('latin1'),
      /^(the line can't be read|the row names no picture)/,
    ],
    ['5 MB', `{"text": "${'x'.repeat(5e6)}"}`, /^the line is too long \| .*: 5000012 bytes, at most 4194304$/],
    [
      'a picture that is not there',
      { file_name: 'gone.png', text: 't' },
      /^the picture is missing \| rows.jsonl line 2: the picture is missing: in\/gone.png$/,
    ],
    [
      'a path out of its folder',
      { file_name: 'a/../../secret.png', text: 't' },
      /^the name of the picture leads out of its folder \| /,
    ],
    ['an absolute path', { file_name: '/etc/passwd', text: 't' }, /^the name of the picture is an absolute path \| /],
    ['a path of Windows', { file_name: 'C:\\a.png', text: 't' }, /^the name of the picture is an absolute path/],
    ['a backslash', { file_name: '..\\a.png', text: 't' }, /^the name of the picture has a backslash/],
    ['control characters', { file_name: 'a\u0000.png', text: 't' }, /^the name of the picture has control characters/],
    [
      'another bucket',
      { file_name: 's3://other/a.png', text: 't' },
      /^the picture lies elsewhere \| .*: only s3:\/\/memory\/ is read$/,
    ],
    [
      'a web address',
      { file_name: 'https://example.org/a.png', text: 't' },
      /^the picture is named by an address on the web \| .*: img2dataset fetches those$/,
    ],
    ['a file of this machine', { file_name: 'file:///etc/passwd', text: 't' }, /^the picture lies elsewhere/],
    [
      'a name of 2,000 characters',
      { file_name: 'x'.repeat(2000), text: 't' },
      /^the name of the picture has \.\.\. characters, at most \.\.\. \| /,
    ],
    [
      'a name that turns the direction of text',
      { file_name: 'o\u202egnp.png', text: 't' },
      /^the name of the picture has control characters/,
    ],
    [
      'a path out of its folder in percents, which nobody decodes',
      { file_name: '%2e%2e/secret.png', text: 't' },
      /^the picture is missing \| .*in\/%2e%2e\/secret.png$/,
    ],
    [
      'a path out of the bucket',
      { file_name: 's3://memory/in/../../secret.png', text: 't' },
      /^the name of the picture leads out of its folder/,
    ],
    ['the bucket itself', { file_name: 's3://memory/', text: 't' }, /^no picture is named/],
    ['the folder itself', { file_name: '.', text: 't' }, /^no picture is named/],
    ['an empty name', { file_name: '', text: 't' }, /^no picture is named/],
    ['a picture within the row', { file_name: 'data:image/png;base64,iVBO', text: 't' }, /^the picture is missing/],
    ['no name', { text: 't' }, /^the row names no picture/],
    ['a name that is an object', { file_name: { a: 1 }, text: 't' }, /^the name of the picture is not a text/],
    ['no text', { file_name: 'ok.png' }, /^the row has no text/],
    ['blank text', { file_name: 'ok.png', text: ' \n' }, /^the row has no text/],
    ['objects by language', { file_name: 'ok.png', text: { en: { a: 1 } } }, /^the row has no text/],
    [
      'lists in lists, 100,000 deep',
      `{"file_name": "ok.png", "text": ${'['.repeat(100_000)}`,
      /^the line can't be read \| .*: it is not JSON$/,
    ],
    [
      'UTF-16',
      Buffer.from('{"file_name": "ok.png", "text": "t"}', 'utf16le').toString('latin1'),
      /^the line can't be read \| .*: it is UTF-16: save it as UTF-8$/,
    ],
    [
      'NaN in a box',
      '{"file_name": "ok.png", "text": "t", "regions": [{"caption": "c", "box": [0, 0, NaN, 1]}]}',
      /^regions.*\.box is not \[top, left, bottom, right\]/,
    ],
    ['text that is true', { file_name: 'ok.png', text: true }, /^text is not a text/],
    [
      'a caption of 1 MB',
      { file_name: 'ok.png', text: 'x'.repeat(1e6) },
      /^a caption is too long \| .*: 1000000 bytes, at most 65536$/,
    ],
    [
      'a region outside',
      { file_name: 'ok.png', text: 't', regions: [{ caption: 'c', box: [0, 0, 2, 1] }] },
      /^regions\.\.\.\.\.box is not|^regions/,
    ],
  ])('%s', async (_, row, reason) => {
    expect(await dropped(row)).toMatch(reason);
  });

  const changed = (bytes: Buffer, at: number) => {
    const other = Buffer.from(bytes);
    other[Math.floor(at)]! ^= 0xff;
    return other;
  };
  /** With a length, or a place, of nearly 4 GB at `at`. */
  const longer = (bytes: Buffer, at: number) => {
    const other = Buffer.from(bytes);
    other.writeUInt32LE(0xffff_ff00, at);
    return other;
  };
  const huge = () =>
    sharp({ create: { width: 12_000, height: 11_200, channels: 3, background: '#123' } })
      .png({ compressionLevel: 1 })
      .toBuffer();
  it.each<[string, () => Promise<Buffer> | Buffer, RegExp]>([
    ['empty', () => Buffer.alloc(0), /^the picture is empty/],
    [
      'a codec that is not known',
      () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
      /^not a PNG, JPEG, WebP, GIF, AVIF or TIFF image/,
    ],
    ['a page of a login', () => Buffer.from('<!doctype html><html>'), /an HTML page/],
    ['a Git LFS pointer', () => Buffer.from('version https://git-lfs.github.com/spec/v1\n'), /a Git LFS pointer/],
    ['cut off', () => good.subarray(0, good.length / 2), /^the PNG image can't be decoded/],
    ['with a byte changed', () => changed(good, good.length / 2), /^the PNG image can't be decoded \| /],
    ['with a header that was changed', () => changed(good, 30), /^the PNG image can't be decoded/],
    ['of three bytes', () => Buffer.from([0xff, 0xd8, 0xff]), /^the JPEG image can't be decoded/],
    [
      'WebP that says to be 4 GB',
      async () => longer(await sharp(good).webp().toBuffer(), 4),
      /^the WebP image can't be decoded/,
    ],
    [
      'TIFF that begins outside',
      async () => longer(await sharp(good).tiff().toBuffer(), 4),
      /^the TIFF image can't be/,
    ],
    ['PDF', () => Buffer.from('%PDF-1.7\n1 0 obj'), /^not a PNG, JPEG, WebP, GIF, AVIF or TIFF image/],
    ['a film', () => Buffer.from('\0\0\0\x18ftypmp42\0\0\0\0mp42isom'), /^not a PNG, JPEG, WebP, GIF, AVIF or TIFF/],
    ['HEIC', () => Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic'), /^not a PNG, JPEG, WebP, GIF, AVIF or TIFF/],
    ['gzipped', () => gzipSync(good), /: compressed with gzip: unpack it with gunzip$/],
    ['in a zip', () => Buffer.from('PK\x03\x04, and so on'), /: a zip archive: unpack it$/],
    ['an answer in JSON', () => Buffer.from('{"error": "not found"}'), /^not a PNG, JPEG, WebP, GIF, AVIF or TIFF/],
    ['of 134 megapixels', huge, /^the PNG image can't be decoded \| .*pixel limit/],
    [
      'a strip that no format holds',
      () =>
        sharp({ create: { width: 20_000, height: 3, channels: 3, background: '#123' } })
          .png()
          .toBuffer(),
      /^the picture is too long \| .*: 20000 x 3 pixels, at most 16383 a side$/,
    ],
  ])('a picture: %s', async (_, make, reason) => {
    expect(await dropped({ file_name: 'bad.png', text: 't' }, { 'in/bad.png': await make() })).toMatch(reason);
  });

  it('a CSV with ragged rows, stray quotes and a byte order mark', async () => {
    const csv = '\ufefffile_name,text\nok.png,one,two\nok.png\nok.png,5" wide\n"ok.png","a, ""b""\nc"\n\n';
    const store = storeOf({ 'in/ok.png': good, 'in/metadata.csv': csv });
    const report = await runPack(store, { from: 'in', to });
    expect(report.dropped).toEqual({
      'the row has another number of fields than the header': {
        pictures: 2,
        names: [
          'metadata.csv row 1: the row has another number of fields than the header: 3, not 2',
          'metadata.csv row 2: the row has another number of fields than the header: 1, not 2',
        ],
      },
    });
    // A file that is named twice is a picture with two texts.
    expect((await examplesBelow(store, to)).map(({ captions }) => captions.en)).toEqual([['5" wide', 'a, "b"\nc']]);
    expect(report.duplicates).toEqual({ exact: 1, near: 0, texts: 1, crowded: 0 });
  });

  it('a CSV in Latin-1, by the row; one in UTF-16 with its mark is read', async () => {
    const rows = 'file_name,text\nok.png,fine\nok.png,caf\u00e9\n';
    const report = await runPack(storeOf({ 'in/ok.png': good, 'in/metadata.csv': Buffer.from(rows, 'latin1') }), {
      ...{ from: 'in', to },
    });
    const reason = 'the row has another encoding';
    expect(report.dropped).toEqual({
      [reason]: { pictures: 1, names: [`metadata.csv row 2: ${reason}: text is not UTF-8; save the table as UTF-8`] },
    });
    for (const [mark, encoding] of [
      ['\ufeff', 'utf16le'],
      ['\ufeff', 'utf8'],
      ['', 'utf8'],
    ] as const) {
      const store = storeOf({ 'in/ok.png': good, 'in/metadata.csv': Buffer.from(mark + rows, encoding) });
      await runPack(store, { from: 'in', to });
      expect((await examplesBelow(store, to)).map(({ captions }) => captions.en)).toEqual([['fine', 'caf\u00e9']]);
    }
  });

  it('and odd texts are kept: of both directions, with 30,000 marks on one letter, half of a pair, a key twice', async () => {
    const both = 'כלב \u200fחום\u200e (dog) \u202egnp';
    const marks = `e${'\u0301'.repeat(30_000)}`;
    const rows = [both, marks, 'half \ud83d of it', 'a\u0000b'].map((text) => ({ file_name: 'ok.png', text }));
    const twice = '{"file_name": "gone.png", "text": "last", "file_name": "ok.png", "__proto__": {"text": "none"}}';
    const store = storeOf({
      'in/ok.png': good,
      'in/rows.jsonl': lines(...rows, twice, '{"file_name": "ok.png", "text": 7}'),
    });
    const report = await runPack(store, { from: 'in', to });
    expect(report.dropped).toEqual({});
    const [example] = await examplesBelow(store, to);
    expect(example!.captions.en).toEqual([both, marks, 'half \ud83d of it', 'a\u0000b', 'last', '7']);
  });

  it('Parquet whose pages are damaged, by the row', async () => {
    const texts = Array.from({ length: 4 }, (_, i) => `picture number ${i}`);
    const bytes = await Promise.all(texts.map((_, i) => scene(i)));
    const columnData = [
      { name: 'image', data: bytes as Uint8Array[], type: 'BYTE_ARRAY' as const },
      { name: 'text', data: texts, type: 'STRING' as const },
    ];
    const parquet = Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize: 2, codec: 'SNAPPY' }));
    parquet.fill(0xff, 4, 2000);
    const store = storeOf({ 'in/a.parquet': parquet });
    const report = await runPack(store, { from: 'in', to });
    expect([report.read, report.examples]).toEqual([4, 2]);
    expect(report.dropped).toMatchObject({ "the row group can't be read": { pictures: 2 } });
    expect((await examplesBelow(store, to)).map(({ captions }) => captions.en)).toEqual([[texts[2]], [texts[3]]]);
  });
});

describe('what nothing can be made of is refused in one sentence, and nothing is written but the claim', () => {
  const parquet = () =>
    Buffer.from(
      parquetWriteBuffer({
        columnData: ['url', 'text'].map((name) => ({
          name,
          data: [`http://a/${name}.png`, 'https://b/c'],
          type: 'STRING' as const,
        })),
      }),
    );
  const garbled = () => {
    const bytes = parquet();
    return bytes.fill(0xaa, bytes.length - 60, bytes.length - 8);
  };
  it.each<[string, Readonly<Record<string, Buffer | string>>, object, RegExp]>([
    ['nothing', {}, {}, /^nothing can be packed from in\/, which has nothing: needed are pictures .*; or /],
    ['other files', { 'in/a.pdf': 'x', 'in/b.mp4': 'y' }, {}, /which has 1 .mp4, 1 .pdf: needed are/],
    ['shards already', { 'in/0.tar': 'x' }, {}, /\.tar shards are read as they are; siglip2 data look in says how$/],
    [
      'a layout that is not there',
      { 'in/a.png': good },
      { layout: 'parquet' },
      /--layout parquet needs \.parquet files/,
    ],
    [
      'Parquet cut off',
      { 'in/a.parquet': parquet().subarray(0, 90) },
      {},
      /^in\/a.parquet is no whole Parquet file \(.*\); fetch it again/,
    ],
    ['Parquet that is none', { 'in/a.parquet': 'PAR1' }, {}, /^in\/a.parquet is no whole Parquet file/],
    [
      'Parquet without a picture',
      { 'in/a.parquet': parquet() },
      {},
      /^in\/a.parquet has the columns url, text: none is known to name pictures; --image NAME says which does$/,
    ],
    [
      'addresses on the web',
      { 'in/a.parquet': parquet() },
      { image: 'url' },
      /^in\/a.parquet: pictures are named by addresses on the web .*img2dataset fetches them/,
    ],
    [
      'a column that is not there',
      { 'in/a.jsonl': '{"image": "a", "x": 1}' },
      { captions: { y: 'en' } },
      /has the columns image, x: y is none of them; --image and --caption/,
    ],
    [
      'no texts',
      { 'in/a.jsonl': '{"image": "a", "x": 1}' },
      {},
      /none is known to hold texts or a class; --caption NAME/,
    ],
    [
      'JSONL of no JSON',
      { 'in/a.jsonl': 'a\nb' },
      {},
      /^none of the first 2 rows of in\/a.jsonl can be read: a.jsonl line 1/,
    ],
    [
      'pictures that are nowhere',
      { 'in/a.jsonl': '{"image": "a.png", "text": "t"}' },
      {},
      /^the pictures that in\/a.jsonl names are not there, in\/a.png for one; --pictures PREFIX/,
    ],
    [
      'a CSV whose quote never ends',
      { 'in/a.csv': 'image,text\n"a.png,t\n' },
      {},
      /^in\/a.csv is no whole CSV after row 0: .*; mend it, and start again$/,
    ],
    [
      'a CSV with a column twice',
      { 'in/a.csv': 'image,text,text\na.png,t,u\n' },
      {},
      /^in\/a.csv has the column text twice; give one of them another name, and start again$/,
    ],
    [
      'a CSV of another delimiter',
      { 'in/a.csv': 'image;text\na.png;t\n' },
      {},
      /^in\/a.csv has the columns image;text: none is known to name pictures/,
    ],
    ['a CSV of a header alone', { 'in/a.csv': 'image,text\n' }, {}, /^below in\/ is no row$/],
    [
      'Parquet that is encrypted',
      { 'in/a.parquet': Buffer.concat([parquet().subarray(0, -4), Buffer.from('PARE')]) },
      {},
      /^in\/a.parquet is no whole Parquet file \(.*footer != PAR1\)/,
    ],
    [
      'Parquet whose footer is longer than the file',
      { 'in/a.parquet': Buffer.concat([parquet().subarray(0, -8), Buffer.from('\xff\xff\xff\xffPAR1', 'latin1')]) },
      {},
      /^in\/a.parquet is no whole Parquet file \(.*4294967295.*\)/,
    ],
    [
      'Parquet whose footer is garbage',
      { 'in/a.parquet': garbled() },
      {},
      /^in\/a.parquet is no whole Parquet file \(/,
    ],
    [
      'JSON of Karpathy cut off',
      { 'in/dataset_coco.json': '{"images": [{"filename": "a' },
      {},
      /^in\/dataset_coco.json breaks off after 0 entries of "images"/,
    ],
    [
      'a prefix within the other',
      {},
      { to: 'in/out' },
      /^to is in\/out and from is in; neither may lie within the other/,
    ],
    [
      'settings that make no sense',
      {},
      { side: 3, format: 'gif', from: '../x' },
      /^this can't be packed: from: .*; side: .*; format: /,
    ],
    ['a side of bytes that stay', {}, { format: 'original', side: 64 }, /^format is original, which keeps the bytes/],
  ])('%s', async (_, objects, settings, message) => {
    const store = storeOf(objects);
    await expect(runPack(store, { from: 'in', to, ...settings })).rejects.toThrow(message);
    expect([...store.objects.keys()].filter((key) => key.startsWith(to) && !key.includes('/_pack/'))).toEqual([]);
  });

  it('a prefix that holds something else, or a pack of other settings; the same settings have the report again', async () => {
    const store = storeOf({ 'in/red.png': good, 'data/other/x.bin': 'x' });
    await expect(runPack(store, { from: 'in', to: 'data/other' })).rejects.toThrow(
      /^data\/other\/ holds something else, data\/other\/x.bin for one/,
    );
    const report = await runPack(store, { from: 'in', to });
    expect(await runPack(store, { from: 'in', to })).toEqual(report);
    await expect(runPack(store, { from: 'in', to, side: 64 })).rejects.toThrow(
      /^data\/out\/ holds a pack of other settings \(side null, now 64\)/,
    );
  });
});

describe('a compressed table', () => {
  const zipped = gzipSync(
    lines(...Array.from({ length: 2000 }, (_, i) => ({ file_name: 'ok.png', text: `${i * 7919}` }))),
  );
  const table = (key: string) => ({ key, bytes: 0, etag: '' });
  const packed = (objects: Readonly<Record<string, Buffer | string>>) =>
    runPack(storeOf({ 'in/ok.png': good, ...objects }), { from: 'in', to });

  it('that was cut off or damaged stops the pack and says so', async () => {
    await expect(packed({ 'in/rows.jsonl.gz': zipped.subarray(0, zipped.length - 400) })).rejects.toThrow(
      'in/rows.jsonl.gz is no whole gzip file (unexpected end of file); fetch it again, or take it away from there',
    );
    const damaged = Buffer.from(zipped);
    damaged.writeUInt32LE(1, damaged.length - 8);
    await expect(packed({ 'in/rows.jsonl.gz': damaged })).rejects.toThrow('no whole gzip file (incorrect data check)');
    await expect(packed({ 'in/rows.csv.gz': 'file_name,text' })).rejects.toThrow(
      'no whole gzip file (incorrect header',
    );
  });

  it('in frames of zstd gives the rows of its text, and one that was cut off, or is none, is told as such', async () => {
    const zst = readFileSync(new URL('fixtures/rows.jsonl.zst', import.meta.url));
    const read = async (body: Buffer) => {
      // In pieces, as a store sends them.
      const pieces = Array.from({ length: Math.ceil(body.length / 1000) }, (_, i) =>
        body.subarray(1000 * i, 1000 * i + 1000),
      );
      const found: Buffer[] = [];
      for await (const chunk of await tableStream(
        { stream: async () => Readable.from(pieces) },
        table('in/rows.jsonl.zst'),
      ))
        found.push(chunk as Buffer);
      return Buffer.concat(found).toString();
    };
    const text = Array.from({ length: 20_000 }, (_, i) => ({ file_name: 'ok.png', text: `${i * 7919}` }));
    expect(await read(zst)).toBe(`${lines(...text)}\n`);
    for (const end of [3, 100, zst.length / 2, zst.length - 2])
      await expect(read(zst.subarray(0, end)), `${end}`).rejects.toThrow(
        /^in\/rows.jsonl.zst is no whole zstd file \(.*\); fetch it again, or take it away from there$/,
      );
    await expect(packed({ 'in/rows.jsonl.zst': 'file_name,text' })).rejects.toThrow('no whole zstd file');
    // Two rows, as zstd 1.5 writes them.
    const two = 'KLUv/QRYdQEAZAJ7ImZpbGVfbmFtZSI6Im9rLnBuZyIsInRleHQiOiJhIn0KYiJ9CgEAKqJ6AjDW1OI=';
    const report = await packed({ 'in/metadata.jsonl.zst': Buffer.from(two, 'base64') });
    expect([report.read, report.examples]).toEqual([2, 1]);
  });

  it('of another kind is told apart from there being nothing', async () => {
    const store = storeOf({ 'in/rows.jsonl.bz2': 'x', 'in/metadata.parquet.gz': 'x' });
    await expect(runPack(store, { from: 'in', to })).rejects.toThrow(
      'nothing can be packed from in/, which has 1 .jsonl.bz2, 1 .parquet.gz: tables are read as they are or as .gz and .zst: unpack those',
    );
  });

  it("of COCO without captions, or one that breaks off, is no captions of COCO's", async () => {
    const of = (text: string) => packed({ 'in/annotations/captions_val2017.json': text, 'in/val2017/a.png': good });
    await expect(of('{"images": [], "annotations": [{"image_id": 1}]}')).rejects.toThrow(
      'no annotation of in/annotations/captions_val2017.json has an image_id and a caption: it is no captions of COCO',
    );
    await expect(of('{"images": [], "annotations": [{"image_id": 1, "caption": "a"}, {"image')).rejects.toThrow(
      'in/annotations/captions_val2017.json breaks off after 1 entries of "annotations", or has none: it is no whole JSON of COCO; fetch it again',
    );
  });
});
