import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeModelFolder } from '../../../src/checkpoint/hugging-face/write-folder.ts';
import { openModel } from '../../../src/checkpoint/open-model.ts';
import { processingOf, requireTrainable } from '../../../src/checkpoint/processing.ts';
import { embed } from '../../../src/commands/embed.ts';
import { cases, caseTexts, modelOfCase, type ProcessingCase, picture, writeCase } from './processing-table.ts';

/** What transformers answered to these folders, as they are and after `convert` alike: make_processing.py. */
const answers = JSON.parse(readFileSync(new URL('fixtures/processing.json', import.meta.url), 'utf8')) as {
  cases: {
    name: string;
    images: number[][];
    texts: number[][];
    after: Record<string, string>;
  }[];
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-processing-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const cosine = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);

describe('a folder with processors of its own', () => {
  it('is one of those that transformers was asked about', () => {
    expect(answers.cases.map(({ name }) => name)).toEqual(cases.map(({ name }) => name));
  });

  it.each(cases.map((one, i) => [one.name, one, answers.cases[i]!] as const))(
    'is embedded as transformers does, and converted to one of the same answers: %s',
    async (name, one, answer) => {
      const path = join(folder, name);
      await writeCase(path, one);
      const text = one.tokenizer ? caseTexts : [];
      const found = await embed({ model: path, image: one.pictures.map(picture), text });
      for (const [given, wanted] of [
        [found.image_embeds, answer.images],
        [found.text_embeds, answer.texts],
      ] as const) {
        expect(given).toHaveLength(wanted.length);
        for (const [i, row] of given.entries()) expect(cosine(row, wanted[i]!)).toBeCloseTo(1, 5);
      }
      const converted = `${path}, converted`;
      const model = await openModel(path);
      await writeModelFolder(converted, model, { dtype: 'f32', shardBytes: 5e9, from: path });
      await model.close();
      const hash = async (file: string) => [
        file,
        createHash('sha256')
          .update(await readFile(join(converted, file)))
          .digest('hex'),
      ];
      // The very folder that transformers gave the same answers to.
      expect(Object.fromEntries(await Promise.all((await readdir(converted)).map(hash)))).toEqual(answer.after);
    },
  );

  it.each<[Partial<ProcessingCase>, RegExp]>([
    [
      { processor: { do_center_crop: true } },
      /preprocessor_config.json: do_center_crop is true, which can't be followed/,
    ],
    [
      { processor: { image_processor_type: 'CLIPImageProcessor' } },
      /image_processor_type is "CLIPImageProcessor".*allowed: SiglipImageProcessor/,
    ],
    [{ processor: { image_mean: [0.5, 0.5] } }, /image_mean is \[0.5,0.5\].*one number or three/],
    [{ processor: { image_std: 0 } }, /image_std is 0/],
    [{ processor: { image_mean: null } }, /image_mean is null/],
    [{ processor: { resample: 7 } }, /resample is 7.*0 \(nearest\), 1 \(lanczos\), 2 \(bilinear\)/],
    [{ processor: { size: { longest_edge: 16 } } }, /size is \{"longest_edge":16\}.*shortest_edge/],
    [{ processor: { size: '16' } }, /size is "16"/],
    [{ processor: { do_rescale: 'no' } }, /do_rescale is "no"/],
    [{ nested: { do_pad: true } }, /image_processor of .*processor_config.json: do_pad is true/],
    [{ kind: 'naflex', processor: { patch_size: 16 } }, /patch_size is 16.*allowed: 4, which config.json says/],
    [{ kind: 'naflex', processor: { max_num_patches: 0 } }, /max_num_patches is 0/],
    [{ tokenizer: { padding_side: 'left' } }, /tokenizer_config.json: padding_side is "left"; "right" is allowed/],
    [{ tokenizer: { model_max_length: 8 } }, /model_max_length is 8, and texts of this model have 12 tokens/],
    [
      { tokenizer: { tokenizer_class: 'SiglipTokenizer' } },
      /tokenizer_class is "SiglipTokenizer"; allowed: Siglip2Tokenizer/,
    ],
  ])('is refused by the name of what can not be followed: %j', async (what, message) => {
    const path = await mkdtemp(join(folder, 'refused-'));
    const one: ProcessingCase = { name: '', kind: 'fixed', pictures: [], ...what };
    await writeCase(path, one);
    await expect(processingOf(path, modelOfCase(one.kind))).rejects.toMatchObject({
      code: 'RecipeInvalid',
      message: expect.stringMatching(message),
    });
  });

  it.each<[ProcessingCase['processor'], string, RegExp]>([
    [
      { size: 16 },
      'plain.png',
      /plain.png of 24 x 16 is 24 x 16 after the folder's processor \(size \{"shortest_edge":16\}\), and the model takes 16 x 16/,
    ],
    [{ do_resize: false }, 'plain.png', /plain.png of 24 x 16 is 24 x 16 after .*\(do_resize false\)/],
  ])(
    'that makes another size of a picture than its model takes is refused for it: %j',
    async (processor, name, message) => {
      const path = await mkdtemp(join(folder, 'size-'));
      await writeCase(path, { name: '', kind: 'fixed', pictures: [], processor: processor! });
      await expect(embed({ model: path, image: [picture(name)] })).rejects.toThrow(message);
    },
  );

  it('is trained on only where training sees what it does: the rest is named', async () => {
    const refusal = async (one: Partial<ProcessingCase>) => {
      const path = await mkdtemp(join(folder, 'trained-'));
      const whole: ProcessingCase = { name: '', kind: 'fixed', pictures: [], ...one };
      await writeCase(path, whole);
      const model = modelOfCase(whole.kind);
      const processing = await processingOf(path, model);
      try {
        requireTrainable(path, model, processing);
        return null;
      } catch (error) {
        return (error as Error).message;
      }
    };
    expect(await refusal({ processor: { image_mean: [0.485, 0.456, 0.406], image_std: [0.2, 0.2, 0.2] } })).toBe(null);
    expect(await refusal({ kind: 'naflex', processor: { max_num_patches: 64 } })).toBe(null);
    expect(await refusal({ processor: { resample: 3 } })).toMatch(
      /resample is 3 \(bicubic\), and training resizes by 2/,
    );
    expect(await refusal({ processor: { size: 16, do_resize: false } })).toMatch(/do_resize is false/);
    expect(await refusal({ processor: { size: 16 } })).toMatch(
      /size is \{"shortest_edge":16\}, and training sees 16 x 16/,
    );
    expect(await refusal({ tokenizer: {}, lowerCase: false })).toMatch(/its tokenizer does not lower-case texts/);
  });

  it('of which a file is a Git LFS pointer is refused by that name, by convert too', async () => {
    const path = await mkdtemp(join(folder, 'lfs-'));
    await writeCase(path, cases[0]!);
    await writeFile(
      join(path, 'tokenizer.json'),
      'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n',
    );
    await expect(processingOf(path, modelOfCase('fixed'))).rejects.toThrow(/tokenizer.json is a Git LFS pointer/);
    const model = await openModel(path);
    await expect(
      writeModelFolder(join(folder, 'lfs-out'), model, { dtype: 'f32', shardBytes: 5e9, from: path }),
    ).rejects.toThrow(/tokenizer.json is a Git LFS pointer/);
    await model.close();
  });
});
