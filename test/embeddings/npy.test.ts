import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, open, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { NpyFile } from '../../src/embeddings/npy.ts';

const { files } = JSON.parse(readFileSync(new URL('fixtures/npy.json', import.meta.url), 'utf8')) as {
  files: readonly { readonly shape: readonly number[]; readonly file: string }[];
};

async function written(shape: readonly number[], blocks: readonly Float32Array[]): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-npy-'));
  const handle = await open(join(folder, 'a.npy'), 'w');
  try {
    const file = await NpyFile.begin(handle, shape);
    for (const block of blocks) await file.add(block);
    file.end();
    return await readFile(join(folder, 'a.npy'));
  } finally {
    await handle.close();
    rmSync(folder, { recursive: true });
  }
}

it.each(files.map(({ shape, file }) => [shape.join(' x '), shape, file] as const))(
  'an array of %s has the bytes that numpy.save writes, in however many blocks it comes',
  async (_, shape, file) => {
    const all = Float32Array.from(
      { length: shape.reduce((product, size) => product * size, 1) },
      (_, i) => Math.fround(i) / 3,
    );
    expect((await written(shape, [all])).toString('base64')).toBe(file);
    expect((await written(shape, [all.slice(0, 2), all.slice(2)])).toString('base64')).toBe(file);
  },
);

it('rows that are more or fewer than was said are refused', async () => {
  await expect(written([2, 2], [new Float32Array(6)])).rejects.toThrow('2 numbers more than the header says');
  await expect(written([2, 2], [new Float32Array(2)])).rejects.toThrow('2 numbers fewer than the header says');
});
