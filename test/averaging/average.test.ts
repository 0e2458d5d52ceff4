import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { averaged, sharesOf } from '../../src/averaging/average.ts';
import { averageFolder } from '../../src/averaging/average-folder.ts';
import { openModelFolder } from '../../src/checkpoint/hugging-face/model-folder.ts';
import { curve } from '../../src/commands/average-command.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { chunksOf, type TensorToWrite } from '../../src/safetensors/safetensors.ts';
import { asBfloat16, tinyModel, tinyTensors, writeFolder } from '../checkpoint/hugging-face/tiny-folder.ts';
import { openFixture } from '../parity/reference.ts';

const bytesOf = async ({ data }: TensorToWrite): Promise<Buffer> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of chunksOf(data)) chunks.push(new Uint8Array(chunk));
  return Buffer.concat(chunks);
};

describe('the mean of tensors', () => {
  it.each(['matrix', 'vector'])('is that of NumPy in float64, to the bit: %s', async (name) => {
    const fixture = await openFixture(new URL('fixtures/average.safetensors', import.meta.url));
    const of = (which: string) => {
      const values = fixture.floats(`${which}/${name}`);
      return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
    };
    // Each in chunks of another size, as files of other types are read.
    const tensors = ['a', 'b', 'c'].map((which, i): TensorToWrite => {
      const [bytes, size] = [of(which), 4 * (i + 3)];
      return {
        ...{ name, dtype: 'F32', shape: fixture.shape(`${which}/${name}`) },
        *data() {
          for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
        },
      };
    });
    expect((await bytesOf(averaged(tensors, sharesOf([3, 1, 4], 3)))).equals(of('mean'))).toBe(true);
  });
});

describe('siglip2 average', () => {
  let root: string;
  const at = (name: string) => join(root, name);
  const source = (name: string) => ({ name, path: at(name) });
  const values = async (folder: string, name: string) => {
    const { tensors, close } = await openModelFolder(folder);
    const bytes = await bytesOf(tensors.find((one) => one.name === name)!);
    await close();
    return new Float32Array(new Uint8Array(bytes).buffer);
  };

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'siglip2-average-'));
    await writeFolder(at('a'), tinyTensors());
    const negative = tinyTensors().map((one) => ({
      ...one,
      data: new Uint8Array(new Float32Array(one.data.slice().buffer).map((x) => -2 * x).buffer),
    }));
    await writeFolder(at('b'), asBfloat16(negative), { shards: 2 });
    const wide = { ...tinyModel, vision: { ...tinyModel.vision, mlp: 7 } };
    await writeFolder(at('wide'), tinyTensors(wide), { model: wide });
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it('writes a model folder that says what it was made of', async () => {
    const made = await averageFolder([source('a'), source('b')], [0.5, 0.5], at('mean'));
    const name = 'text_model.head.weight';
    const [mean, a] = [await values(at('mean'), name), await values(at('a'), name)];
    expect([...mean]).toEqual([...a].map((x) => -0.5 * x));
    const hash = (folder: string) => sha256(readFileSync(join(at(folder), 'model.safetensors')));
    expect(JSON.parse(readFileSync(join(at('mean'), 'average.json'), 'utf8'))).toEqual(made);
    expect(made.of.map(({ model, share }) => [model, share])).toEqual([
      ['a', 0.5],
      ['b', 0.5],
    ]);
    expect(made.sha256).toBe(sha256(`${hash('mean')}  model.safetensors\n`));
    expect(existsSync(at('mean.part'))).toBe(false);
  });

  it('leaves the first as it is where the share of the second is 0', async () => {
    const made = await averageFolder([source('a'), source('b')], [1, 0], at('first'));
    expect(made.sha256).toBe(made.of[0]!.sha256);
  });

  it('refuses other models, shares and folders in a sentence, and writes nothing', async () => {
    await expect(averageFolder([source('a'), source('wide')], [0.5, 0.5], at('none'))).rejects.toThrow(
      "a and wide can't be averaged: vision.mlp is 5 and 7; models of one shape, shown the same, are allowed",
    );
    await expect(averageFolder([source('a'), source('b')], [0.5, 0.5], at('mean'))).rejects.toThrow(/is there already/);
    expect(() => sharesOf([1, -1], 2)).toThrow(/^--weights is 1 -1 for 2 models; allowed/);
    expect(() => sharesOf([1], 2)).toThrow(/^--weights is 1 for 2 models/);
    expect(existsSync(at('none')) || existsSync(at('none.part'))).toBe(false);
  });

  it('shows figures over the ratio, side by side', () => {
    const columns = [
      { label: 'ratio-0', figures: new Map([['zeroShot.top1, px-8', 0.25]]) },
      { label: 'ratio-1', figures: new Map([['zeroShot.top1, px-8', 0.125]]) },
    ];
    expect(curve(columns)).toBe('    ratio-0    ratio-1\n       0.25      0.125  zeroShot.top1, px-8\n');
  });
});
