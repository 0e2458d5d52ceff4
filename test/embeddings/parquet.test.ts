import { readFileSync, rmSync } from 'node:fs';
import { copyFile, mkdtemp, open, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { expect, it } from 'vitest';
import { ParquetFile } from '../../src/embeddings/parquet.ts';
import type { RowBlock } from '../../src/embeddings/rows.ts';

const keys = ['a', 'ä', '日本', 'd', 'e'].map((name, i) => ({
  shard: `data/${Math.floor(i / 2)}.tar`,
  name,
  language: i % 2 === 0 ? 'en' : 'zh-CN',
  caption: i % 3,
}));
const rowOf = (i: number) => Float32Array.from({ length: 4 }, (_, k) => (i + 1) / (k + 3));

const blockOf = (numbers: readonly number[]): RowBlock => ({
  ...{ width: 4, shape: [4], rows: Float32Array.from(numbers.flatMap((i) => [...rowOf(i)])) },
  keyOf: (i) => keys[numbers[i]!]!,
});

/** To write the file that pyarrow is to read: PARQUET_OUT=rows.parquet npx vitest run test/embeddings/parquet */
async function written(): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-parquet-'));
  const path = join(folder, 'rows.parquet');
  const handle = await open(path, 'w');
  try {
    const file = new ParquetFile(handle, true);
    await file.add(blockOf([0, 1, 2]));
    await file.add(blockOf([3, 4]));
    await file.end();
    if (process.env.PARQUET_OUT) await copyFile(path, process.env.PARQUET_OUT);
    return await readFile(path);
  } finally {
    await handle.close();
    rmSync(folder, { recursive: true });
  }
}

const expected = keys.map((key, i) => ({ ...key, embedding: [...rowOf(i)] }));

it('rows come back as they were, by hyparquet, and as pyarrow has read them', async () => {
  const bytes = await written();
  const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  const read = (await parquetReadObjects({ file })) as unknown as { embedding: Iterable<number> }[];
  expect(read.map((row) => ({ ...row, embedding: [...row.embedding] }))).toEqual(expected);
  const pyarrow = JSON.parse(readFileSync(new URL('fixtures/parquet.json', import.meta.url), 'utf8'));
  expect(pyarrow.rows).toEqual(expected);
  expect(pyarrow.groups).toBe(2);
  expect(pyarrow.schema).toEqual({
    ...{ shard: 'string', name: 'string', language: 'string', caption: 'int32' },
    embedding: 'list<element: float not null>',
  });
});
