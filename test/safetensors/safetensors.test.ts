import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  SafetensorsFile,
  scatterRows,
  type TensorToWrite,
  writeSafetensors,
} from '../../src/safetensors/safetensors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-safetensors-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const bytes = (array: Float32Array | Int32Array | BigInt64Array | Uint16Array) => new Uint8Array(array.buffer);
const text = Float32Array.from([0, 0.25, 0.5, 0.75, 1, 1.25]);
const tensors: TensorToWrite[] = [
  { name: 'text.weight', dtype: 'F32', shape: [2, 3], data: bytes(text) },
  { name: '10', dtype: 'I32', shape: [2], data: bytes(Int32Array.from([7, -7])) },
  { name: 'scalar', dtype: 'F32', shape: [], data: bytes(Float32Array.from([2.5])) },
  { name: 'half', dtype: 'F16', shape: [3], data: bytes(Uint16Array.from([0x3c00, 0x4000, 0x4200])) },
  { name: 'empty', dtype: 'F32', shape: [0, 4], data: new Uint8Array() },
  { name: 'long', dtype: 'I64', shape: [2], data: bytes(BigInt64Array.from([2n ** 40n, -1n])) },
  { name: 'logit "é"', dtype: 'F32', shape: [1], data: bytes(Float32Array.from([1.5])) },
];

describe('writing', () => {
  // Of the file that `safetensors.numpy.save(tensors, metadata={"format": "pt"})` of safetensors 0.5.3 makes.
  const reference = '014dffac3f10d990055d2464c64cfb16a98d80153e5b1351c4ea125f238f44f0';

  test('the bytes are those of the reference implementation, whatever the order of the tensors', async () => {
    for (const order of [tensors, tensors.toReversed()]) {
      const path = join(folder, 'reference.safetensors');
      const written = await writeSafetensors(path, order);
      const file = await readFile(path);
      expect(written).toEqual({ bytes: 526, sha256: reference });
      expect(createHash('sha256').update(file).digest('hex')).toBe(reference);
    }
  });

  test('what was written is what is read', async () => {
    const path = join(folder, 'round.safetensors');
    await writeSafetensors(path, tensors, { metadata: { format: 'pt', vocabulary: '[1,2]' } });
    const file = await SafetensorsFile.open(path);
    expect(file.metadata).toEqual({ format: 'pt', vocabulary: '[1,2]' });
    expect(file.tensors.size).toBe(7);
    expect(await file.readFloats('text.weight', [2, 3])).toEqual(text);
    expect(new Int32Array((await file.read('10')).buffer)).toEqual(Int32Array.from([7, -7]));
    expect(await file.readFloats('scalar')).toEqual(Float32Array.from([2.5]));
    expect(await file.read('empty')).toHaveLength(0);
    const weight = Buffer.from(text.buffer);
    const into = new Uint8Array(8);
    expect(await file.readPart('text.weight', 12, 8, into)).toBe(into);
    expect(weight.subarray(12, 20).equals(into)).toBe(true);
    const chunks: Buffer[] = [];
    // Copied, since each lies where the one before did.
    for await (const chunk of file.chunks('text.weight', 16)) chunks.push(Buffer.from(chunk));
    expect(chunks.map(({ length }) => length)).toEqual([16, 8]);
    expect(Buffer.concat(chunks).equals(weight)).toBe(true);
    await expect(file.readFloats('10')).rejects.toThrow('tensor 10 is I32, and F32 is wanted');
    await expect(file.readFloats('text.weight', [3, 2])).rejects.toThrow('has the shape [2,3], and [3,2] is wanted');
    await expect(file.read('nothing')).rejects.toMatchObject({ code: 'CheckpointDamaged' });
    await file.close();
  });

  test('a table of 256,000 rows is scattered from a few, and the few are read back', async () => {
    const ids = [0, 1, 2, 1000, 131_072, 255_999];
    const rows = Float32Array.from({ length: ids.length * 32 }, (_, i) => i + 1);
    const path = join(folder, 'table.safetensors');
    const table = { name: 'table', dtype: 'F32', shape: [256_000, 32] } as const;
    await writeSafetensors(path, [{ ...table, data: () => scatterRows(bytes(rows), ids, 256_000) }]);
    const file = await SafetensorsFile.open(path);
    expect(file.info('table').bytes).toBe(32_768_000);
    expect(new Float32Array((await file.readRows('table', ids)).buffer)).toEqual(rows);
    const whole = await file.readFloats('table');
    expect(whole.reduce((sum, value) => sum + value, 0)).toBe((192 * 193) / 2);
    expect(whole.subarray(1000 * 32, 1001 * 32)).toEqual(rows.subarray(96, 128));
    await expect(file.readRows('table', [0, 256_000])).rejects.toThrow('has 256000 rows, and row 256000 is wanted');
    await expect(file.readRows('table', [-1])).rejects.toThrow('row -1 is wanted');
    await file.close();
  });

  test('rows out of order, beyond the table or cut short are refused, and no file is left', async () => {
    const path = join(folder, 'refused.safetensors');
    const write = (ids: number[], data: Uint8Array) =>
      writeSafetensors(path, [{ name: 't', dtype: 'F32', shape: [4, 1], data: () => scatterRows(data, ids, 4, 4) }]);
    await expect(write([2, 1], new Uint8Array(8))).rejects.toThrow('must ascend');
    await expect(write([1, 4], new Uint8Array(8))).rejects.toThrow('beyond the 4 rows');
    await expect(write([1, 2], new Uint8Array(7))).rejects.toThrow('are not 2 rows');
    const short = { name: 't', dtype: 'F32', shape: [4], data: new Uint8Array(12) } as const;
    await expect(writeSafetensors(path, [short])).rejects.toThrow('-4 bytes too many');
    await expect(writeSafetensors(path, [tensors[0]!, tensors[0]!])).rejects.toThrow('is there twice');
    expect((await readdir(folder)).filter((name) => name.startsWith('refused'))).toEqual([]);
  });

  test('a full disk is one clear sentence', async () => {
    const data = new Uint8Array(8 * 1024 * 1024);
    // /dev/full refuses every write for want of space; the writer adds .part to the name.
    const { symlink } = await import('node:fs/promises');
    await symlink('/dev/full', join(folder, 'full.safetensors.part'));
    const write = writeSafetensors(join(folder, 'full.safetensors'), [
      { name: 't', dtype: 'U8', shape: [data.length], data },
    ]);
    await expect(write).rejects.toMatchObject({ code: 'DiskFull' });
    await expect(write).rejects.toThrow(/the disk is full: could not write .*full\.safetensors; free space/);
  });
});

describe('files that lie', () => {
  const file = (header: string | Uint8Array, data: number, length?: bigint) => {
    const json = Buffer.from(header);
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(length ?? BigInt(json.length));
    return Buffer.concat([size, json, Buffer.alloc(data)]);
  };
  const one = (fields: object, name = 'w') =>
    JSON.stringify({ [name]: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...fields } });

  test.each<[string, Buffer, string]>([
    ['an empty file', Buffer.alloc(0), 'it has 0 bytes'],
    ['a header length that is cut off', Buffer.from([1, 0, 0]), 'it has 3 bytes'],
    ['a truncated header', file('{"w":', 0, 100n), 'its header of 100 bytes goes beyond its 13 bytes'],
    ['a giant header', file('{}', 0, 2n ** 63n), 'its header claims 9223372036854775808 bytes'],
    ['a header just above the limit', file('{}', 0, 100_000_001n), 'at most 100000000 are allowed'],
    ['a header that is no JSON', file('{"w":', 0), 'its header is not JSON'],
    ['a header that is an array', file('[]', 0), 'its header is not a JSON object'],
    ['a header nested a million deep', file('['.repeat(1e6), 0), 'its header is not JSON'],
    ['a header that is not UTF-8', file(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), 0), 'is not UTF-8'],
    [
      'a name that is there twice',
      file(`{"w":${one({}).slice(5, -1)},"w":${one({}).slice(5, -1)}}`, 8),
      'names "w" twice',
    ],
    [
      'a name twice in other spelling',
      file(`{"w":${one({}).slice(5, -1)},"\\u0077":${one({}).slice(5, -1)}}`, 8),
      'twice',
    ],
    [
      'a field that is there twice',
      file('{"w":{"dtype":"F32","shape":[9],"shape":[2],"data_offsets":[0,8]}}', 8),
      '"shape" twice',
    ],
    ['an unknown dtype', file(one({ dtype: 'F31' }), 8), 'tensor "w" has the unknown dtype "F31"'],
    ['a dtype of every object', file(one({ dtype: 'toString' }), 8), 'unknown dtype "toString"'],
    ['no shape', file(one({ shape: 'two' }), 8), 'tensor "w" has no shape'],
    ['a negative dimension', file(one({ shape: [-2, -1] }), 8), 'the impossible shape [-2,-1]'],
    ['half a dimension', file(one({ shape: [2.5] }), 8), 'the impossible shape [2.5]'],
    ['a product that overflows', file(one({ shape: [2 ** 40, 2 ** 40] }), 8), 'the impossible shape'],
    ['a product that is not its bytes', file(one({ shape: [3] }), 8), 'takes 12 bytes, and has 8'],
    ['a negative offset', file(one({ data_offsets: [-8, 0] }), 8), 'lies at -8 to 0'],
    ['an end before the beginning', file(one({ data_offsets: [8, 0] }), 8), 'lies at 8 to 0'],
    ['an offset beyond the file', file(one({ data_offsets: [8, 16] }), 8), 'outside the 8 bytes'],
    ['a truncated last tensor', file(one({}), 7), 'outside the 7 bytes'],
    ['offsets that are text', file(one({ data_offsets: ['0', '8'] }), 8), 'two whole numbers are wanted'],
    ['one offset', file(one({ data_offsets: [0] }), 8), 'two whole numbers are wanted'],
    [
      'tensors that overlap',
      file(`${one({}).slice(0, -1)},${one({ data_offsets: [4, 12] }, 'x').slice(1)}`, 12),
      'tensor "x" overlaps',
    ],
    ['two names for the same bytes', file(`${one({}).slice(0, -1)},${one({}, 'x').slice(1)}`, 8), 'overlaps'],
    [
      'a gap between tensors',
      file(`${one({}).slice(0, -1)},${one({ data_offsets: [12, 20] }, 'x').slice(1)}`, 20),
      '4 bytes before tensor "x"',
    ],
    ['bytes after the last tensor', file(one({}), 24), 'its last 16 bytes belong to no tensor'],
    ['a tensor that is a number', file('{"w":5}', 0), 'is not described by an object'],
    ['metadata that is a list', file('{"__metadata__":[]}', 0), '__metadata__ is not an object'],
    ['metadata that is no text', file('{"__metadata__":{"a":1}}', 0), 'metadata "a" is not text'],
  ])('%s is refused by name', async (_, content, problem) => {
    const path = join(folder, 'hostile.safetensors');
    await writeFile(path, content);
    const opened = SafetensorsFile.open(path, 'RecipeInvalid');
    await expect(opened).rejects.toMatchObject({ code: 'RecipeInvalid' });
    await expect(opened).rejects.toThrow(problem);
  });

  test('a name such as __proto__ is only a name', async () => {
    const path = join(folder, 'proto.safetensors');
    await writeFile(path, file(one({}).replace('"w"', '"__proto__"'), 8));
    const opened = await SafetensorsFile.open(path);
    expect([...opened.tensors.keys()]).toEqual(['__proto__']);
    expect(await opened.read('__proto__')).toHaveLength(8);
    await opened.close();
  });
});
