import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelConfigFile } from '../../../src/checkpoint/hugging-face/config.ts';
import { importModel } from '../../../src/checkpoint/hugging-face/import-model.ts';
import { openModelFolder } from '../../../src/checkpoint/hugging-face/model-folder.ts';
import { readModelConfig } from '../../../src/checkpoint/hugging-face/read-config.ts';
import { writeModelFolder } from '../../../src/checkpoint/hugging-face/write-folder.ts';
import { restoreCheckpoint } from '../../../src/checkpoint/restore.ts';
import { embed } from '../../../src/commands/embed.ts';
import { fullVocabulary, type ModelConfig, textSizeFor, towerSizes } from '../../../src/model/sizes.ts';
import { toBfloat16, toFloat32 } from '../../../src/safetensors/float-bytes.ts';
import { writeSafetensors } from '../../../src/safetensors/safetensors.ts';
import { startServer, type TestServer } from '../../storage/versitygw.ts';
import { cases, picture, writeCase } from './processing-table.ts';
import { asBfloat16, tinyModel, tinyTensors, writeFolder } from './tiny-folder.ts';

let folder: string;
let server: TestServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-import-'));
  server = await startServer();
});
afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const naflex: ModelConfig = { ...tinyModel, vision: { ...tinyModel.vision, kind: 'naflex' } };

describe('a folder of transformers', () => {
  it.each([
    ['in one file', tinyModel, 1, false],
    ['in three shards', tinyModel, 3, false],
    ['in bfloat16', tinyModel, 1, true],
    ['in bfloat16 and shards', tinyModel, 2, true],
    ['of NaFlex', naflex, 1, false],
  ] as const)('%s gives every tensor, in F32 and byte for byte', async (name, model, shards, half) => {
    const path = join(folder, name);
    const tensors = tinyTensors(model);
    await writeFolder(path, half ? asBfloat16(tensors) : tensors, { model, shards });
    const read = await openModelFolder(path);
    expect(read.config).toEqual(model);
    const [again, expected] = [join(path, 'again.safetensors'), join(path, 'expected.safetensors')];
    const written = await writeSafetensors(again, read.tensors);
    await read.close();
    expect(written).toEqual(await writeSafetensors(expected, tensors));
  });

  it.each([
    ['f32', 5e9, 1],
    ['f32', 1000, 3],
    ['bf16', 5e9, 1],
    ['bf16', 1000, 3],
  ] as const)(
    'is written again in %s, files of %i bytes, and read back bit for bit',
    async (dtype, shardBytes, least) => {
      const [first, second] = [join(folder, `from-${dtype}-${shardBytes}`), join(folder, `to-${dtype}-${shardBytes}`)];
      const tensors = tinyTensors();
      await writeFolder(first, tensors);
      const read = await openModelFolder(first);
      await writeModelFolder(second, read, { dtype, shardBytes });
      await read.close();
      const files = (await readdir(second)).filter((name) => name.endsWith('.safetensors'));
      expect(files.length).toBeGreaterThanOrEqual(least);
      expect(files.includes('model.safetensors')).toBe(least === 1);
      expect(JSON.parse(await readFile(join(second, 'config.json'), 'utf8')).dtype).toBe(
        dtype === 'f32' ? 'float32' : 'bfloat16',
      );
      expect(await readdir(second)).toEqual(expect.arrayContaining(['tokenizer.json', 'preprocessor_config.json']));
      // The noise of these tensors fits bfloat16, so nothing is lost.
      const again = await openModelFolder(second);
      const written = await writeSafetensors(join(second, 'again.bin'), again.tensors);
      await again.close();
      expect(written).toEqual(await writeSafetensors(join(first, 'expected.bin'), tensors));
    },
  );

  it('becomes a checkpoint that phases start from; the same again changes nothing, another is refused', async () => {
    const path = join(folder, 'imported');
    await writeFolder(path, asBfloat16(tinyTensors()), { shards: 2 });
    const store = server.store();
    const how = { scratch: folder, codeVersion: '0', attempt: 'a' };
    const ref = await importModel(store, path, 'base', how);
    expect(ref).toMatchObject({ run: 'base', phase: 'import', revision: 0, step: 0, examples: 0 });
    expect(await importModel(store, path, 'base', { ...how, attempt: 'b' })).toEqual(ref);
    const back = join(folder, 'back');
    await restoreCheckpoint(store, ref, back);
    expect(readModelConfig(await readFile(join(back, 'config.json'), 'utf8'), 'x')).toEqual(tinyModel);
    const expected = await writeSafetensors(join(folder, 'expected.safetensors'), tinyTensors());
    expect((await openModelFolder(back)).config).toEqual(tinyModel);
    expect(await writeSafetensors(join(folder, 'got.safetensors'), (await openModelFolder(back)).tensors)).toEqual(
      expected,
    );

    const other = tinyTensors();
    other[0]!.data[0]! ^= 1;
    await writeFolder(join(folder, 'other'), other);
    await expect(importModel(store, join(folder, 'other'), 'base', { ...how, attempt: 'c' })).rejects.toMatchObject({
      code: 'TwoRunsUnderOneName',
    });
  });
});

describe('a folder that normalises or cuts in its own way, once imported', () => {
  // What transformers answered to these folders: make_processing.py.
  const answers = JSON.parse(readFileSync(new URL('fixtures/processing.json', import.meta.url), 'utf8')) as {
    cases: { name: string; images: number[][] }[];
  };

  it.each([
    ['mean and deviation of ImageNet', [0.5, 0.5, 0.5], undefined],
    ['256 patches', [0.5, 0.5, 0.5], 256],
  ])('answers as transformers did to it: %s', async (name, mean, patches) => {
    const one = cases.find((found) => found.name === name)!;
    const path = join(folder, name);
    await writeCase(path, one);
    const run = name.replaceAll(' ', '-');
    const store = server.store();
    const ref = await importModel(store, path, run, { scratch: folder, codeVersion: '0', attempt: 'a' });
    const back = `${path}, back`;
    await restoreCheckpoint(store, ref, back);
    const processor = JSON.parse(await readFile(join(back, 'preprocessor_config.json'), 'utf8'));
    expect([processor.image_mean, processor.max_num_patches]).toEqual([mean, patches]);
    const { image_embeds } = await embed({ model: back, image: one.pictures.map(picture) });
    const wanted = answers.cases.find((found) => found.name === name)!.images;
    expect(image_embeds).toHaveLength(wanted.length);
    for (const [i, row] of image_embeds.entries())
      expect(row.reduce((sum, value, k) => sum + value * wanted[i]![k]!, 0)).toBeCloseTo(1, 5);
  });

  it('that resizes as training does not is refused by import', async () => {
    const path = join(folder, 'bicubic');
    await writeCase(path, { name: '', kind: 'fixed', pictures: [], processor: { resample: 3 } });
    const how = { scratch: folder, codeVersion: '0', attempt: 'a' };
    await expect(importModel(server.store(), path, 'bicubic', how)).rejects.toThrow(
      /can't be trained as it is used: resample is 3 \(bicubic\), and training resizes by 2 \(bilinear\)/,
    );
  });
});

describe('a sparse config', () => {
  const of = (config: object) => readModelConfig(JSON.stringify(config), 'config.json');

  it('of base-patch16-512 is B/16 at 512 pixels', () => {
    const found = of({
      initializer_factor: 1,
      model_type: 'siglip',
      text_config: { model_type: 'siglip_text_model', vocab_size: 256_000 },
      vision_config: { image_size: 512, model_type: 'siglip_vision_model' },
    });
    expect(found).toEqual({
      vision: { ...towerSizes.B, patch: 16, resolution: 512 },
      text: { ...towerSizes.B, length: 64, vocabulary: fullVocabulary },
    });
  });

  it('of base-patch16-naflex is the NaFlex B/16 with 16 by 16 positions', () => {
    const found = of({
      model_type: 'siglip2',
      text_config: { vocab_size: 256_000 },
      vision_config: { patch_size: 16 },
    });
    expect(found.vision).toEqual({ ...towerSizes.B, patch: 16, resolution: 256, kind: 'naflex' });
  });

  it('that has null for the width of the shared space has that of the texts, as transformers takes it', () => {
    const text_config = { vocab_size: 256_000, hidden_size: 384, num_attention_heads: 6, projection_size: null };
    const found = of({
      model_type: 'siglip',
      text_config,
      vision_config: { hidden_size: 384, num_attention_heads: 6 },
    });
    expect([found.text.width, found.vision.width]).toEqual([384, 384]);
  });

  it.each(['B', 'L', 'So400m', 'g-opt'] as const)('of our own %s says what it was written from', (size) => {
    const model: ModelConfig = {
      vision: { ...towerSizes[size], patch: 16, resolution: 256 },
      text: { ...towerSizes[textSizeFor(size)], length: 64, vocabulary: fullVocabulary },
    };
    expect(readModelConfig(modelConfigFile(model).content, 'config.json')).toEqual(model);
  });

  it('may begin with a byte order mark, and what stands in for it is named', () => {
    const plain = '{"model_type": "siglip", "text_config": {"vocab_size": 256000}, "vision_config": {}}';
    expect(readModelConfig(`\ufeff${plain}`, 'config.json')).toEqual(readModelConfig(plain, 'config.json'));
    expect(() => readModelConfig('version https://git-lfs.github.com/spec/v1\n', 'config.json')).toThrow(
      /^config.json is not .*: it is a Git LFS pointer: git lfs pull fetches the file itself$/,
    );
  });
});

describe('half precision', () => {
  const bits = (values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
  const floats = (bytes: Uint8Array) => [...new Float32Array(bytes.slice().buffer)];

  it('becomes float32 exactly: bfloat16 and float16, subnormal, infinite and none', () => {
    const half = (...values: number[]) => new Uint8Array(Uint16Array.from(values).buffer);
    expect(floats(toFloat32(half(0x3f80, 0xc000, 0x0001, 0x7f80), 'BF16'))).toEqual([1, -2, 2 ** -133, Infinity]);
    const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);
    const wide = floats(toFloat32(new Uint8Array(all.buffer), 'F16'));
    for (const [i, value] of wide.entries()) {
      const [sign, exponent, fraction] = [i & 0x8000 ? -1 : 1, (i >> 10) & 31, i & 1023];
      const expected =
        exponent === 31
          ? fraction
            ? Number.NaN
            : sign * Infinity
          : exponent === 0
            ? sign * fraction * 2 ** -24
            : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
      if (!Object.is(value, expected)) expect(value, `0x${i.toString(16)}`).toBe(expected);
    }
  });

  it('is rounded to the nearest bfloat16, to even when two are as near', () => {
    const [one, step] = [1, 2 ** -7];
    const given = [1 + step / 2, 1 + 1.5 * step, 1 + 0.6 * step, -1 - 0.4 * step, 3.4e38, Number.NaN, 2 ** -140];
    expect(floats(toFloat32(toBfloat16(bits(given)), 'BF16'))).toEqual([
      one,
      1 + 2 * step,
      1 + step,
      -1,
      Infinity,
      Number.NaN,
      0,
    ]);
  });
});
