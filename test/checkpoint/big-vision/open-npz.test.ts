import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNpzModel } from '../../../src/checkpoint/big-vision/open-npz.ts';
import { isRunnerError } from '../../../src/runtime/errors.ts';
import { SafetensorsFile, writeSafetensors } from '../../../src/safetensors/safetensors.ts';
import { openFixture } from '../../parity/reference.ts';

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}.npz`, import.meta.url));
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-npz-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('a checkpoint of big_vision', () => {
  it.each([
    ['tiny-siglip', 'tiny-siglip'],
    ['tiny-siglip', 'tiny-siglip-scanned'],
    ['tiny-siglip2', 'tiny-siglip2'],
    ['tiny-siglip2', 'tiny-siglip2-scanned'],
  ])('holds the tensors of the %s that it was made from, bit for bit: %s.npz', async (family, name) => {
    const model = await openNpzModel(fixture(name));
    const expected = await openFixture(new URL(`../../parity/fixtures/${family}.safetensors`, import.meta.url));
    const path = join(folder, `${name}.safetensors`);
    await writeSafetensors(path, model.tensors);
    await model.close();
    const written = await SafetensorsFile.open(path);
    expect(written.tensors.size).toBeGreaterThan(60);
    for (const tensor of written.tensors.keys()) {
      const values = await written.readFloats(tensor, expected.shape(`parameters/${tensor}`));
      expect(values, tensor).toEqual(Float32Array.from(expected.floats(`parameters/${tensor}`)));
    }
    await written.close();
    const stored = JSON.parse(
      await readFile(new URL(`../../parity/fixtures/${family}.json`, import.meta.url), 'utf8'),
    ).model;
    const { resolution, ...vision } = model.config.vision;
    expect({ vision, text: model.config.text }).toMatchObject({ text: stored.text });
    expect(vision).toMatchObject({
      width: stored.vision.width,
      depth: stored.vision.depth,
      heads: stored.vision.heads,
      mlp: stored.vision.mlp,
      patch: stored.vision.patch,
    });
    expect(Math.floor(resolution / vision.patch)).toBe(Math.floor(stored.vision.resolution / vision.patch));
    expect(vision.kind === 'naflex').toBe(family === 'tiny-siglip2');
  });

  it.each(['tiny-siglip2-training', 'tiny-siglip2-bare'])(
    'of a whole training has the bytes of the parameters alone, whatever lies beside them: %s',
    async (name) => {
      const bytesOf = async (of: string) => {
        const model = await openNpzModel(fixture(of));
        const written = await writeSafetensors(join(folder, `${of}-whole.safetensors`), model.tensors);
        await model.close();
        return written;
      };
      expect(await bytesOf(name)).toEqual(await bytesOf('tiny-siglip2'));
    },
  );

  /** The good archive with some of its bytes changed. */
  const changed = (change: (bytes: Buffer) => unknown) => async () => {
    const bytes = await readFile(fixture('tiny-siglip'));
    const instead = change(bytes);
    return Buffer.isBuffer(instead) ? instead : bytes;
  };
  const found = (bytes: Buffer, text: string, from = 0) => {
    const at = bytes.indexOf(text, from, 'latin1');
    if (at < 0) throw new Error(`the fixture has no ${text}`);
    return at;
  };
  const end = (bytes: Buffer) => bytes.lastIndexOf('PK\x05\x06', undefined, 'latin1');
  const directory = (bytes: Buffer) => bytes.readUInt32LE(end(bytes) + 16);

  it.each<[string, () => Promise<Buffer>, RegExp]>([
    ['nothing', async () => Buffer.alloc(0), /it is no zip archive/],
    ['text', async () => Buffer.from('not an archive, though it is long enough to be one'), /it is no zip archive/],
    [
      'a Git LFS pointer',
      async () => Buffer.from(`version https://git-lfs.github.com/spec/v1\noid sha256:${'ab'.repeat(32)}\nsize 15\n`),
      /it is a Git LFS pointer: git lfs pull/,
    ],
    ['a page', async () => Buffer.from('\n<!DOCTYPE html><html><body>Log in</body></html>'), /it is an HTML page/],
    ['a cut end', changed((b) => b.subarray(0, b.length - 30)), /it is no zip archive/],
    ['a cut beginning', changed((b) => b.subarray(5000)), /does not begin where|lies outside|directory is cut off/],
    [
      'a directory outside',
      changed((b) => void b.writeUInt32LE(0x7fffffff, end(b) + 16)),
      /its directory lies outside the file/,
    ],
    [
      'a giant directory',
      changed((b) => void b.writeUInt32LE(0x7fffffff, end(b) + 12)),
      /directory is larger than any/,
    ],
    ['more members than there are', changed((b) => void b.writeUInt16LE(60_000, end(b) + 10)), /directory is cut off/],
    ['an unknown packing', changed((b) => void b.writeUInt16LE(12, directory(b) + 10)), /is packed in a way \(12\)/],
    ['a member outside', changed((b) => void b.writeUInt32LE(0x7ffffff0, directory(b) + 42)), /lies outside the file/],
    ['a member of another size', changed((b) => void b.writeUInt32LE(7, directory(b) + 24)), /has two sizes/],
    [
      'a member beyond the end',
      changed((b) => {
        b.writeUInt32LE(0x7ffffff0, directory(b) + 20);
        b.writeUInt32LE(0x7ffffff0, directory(b) + 24);
      }),
      /goes beyond the end of the file/,
    ],
    [
      'a member twice',
      changed((b) => {
        const at = found(b, 'params/img/embedding/bias.npy', directory(b));
        b.write('params/img/embedding/kernel.np', at, 'latin1');
        b.writeUInt16LE(27, found(b, 'PK\x01\x02', at - 60) + 28);
      }),
      /twice|cut off|lacks/,
    ],
    [
      'an array that is none',
      changed((b) => void b.write('NOTNUMPY', found(b, '\x93NUMPY'), 'latin1')),
      /array "params\/[^"]*" is no npy array/,
    ],
    [
      'an array of whole numbers',
      changed((b) => void b.write("'<i4'", found(b, "'<f4'"), 'latin1')),
      /has the type "<i4"/,
    ],
    ['an array of objects', changed((b) => void b.write("'|O4'", found(b, "'<f4'"), 'latin1')), /has the type "\|O4"/],
    [
      'an array by columns',
      changed((b) => void b.write("'fortran_order': True ", found(b, "'fortran_order': False"), 'latin1')),
      /is stored column by column/,
    ],
    [
      'an array of another shape',
      changed((b) => void b.write("'shape': (9", found(b, "'shape': ("), 'latin1')),
      /of shape \[9\d*.*\] takes \d+ bytes, and has \d+|has no shape/,
    ],
    [
      'an array under another name',
      changed(
        (b) => void b.write('params/img/embedding/bios', found(b, 'params/img/embedding/bias', directory(b)), 'latin1'),
      ),
      /it lacks the array img\/embedding\/bias/,
    ],
  ])('of %s is refused by name', async (name, make, message) => {
    const path = join(folder, `${name.replaceAll(' ', '-')}.npz`);
    await writeFile(path, await make());
    const error = await openNpzModel(path).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(isRunnerError(error, 'RecipeInvalid'), String(error)).toBe(true);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).not.toMatch(/\n/);
  });
});
