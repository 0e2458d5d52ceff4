import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FolderFile, modelConfigFile, preprocessorFile } from '../../../src/checkpoint/hugging-face/config.ts';
import { tokenizerFolderFiles } from '../../../src/checkpoint/hugging-face/tokenizer.ts';
import { fullVocabulary, type ModelConfig } from '../../../src/model/sizes.ts';
import { writeSafetensors } from '../../../src/safetensors/safetensors.ts';
import { tinyTensors } from './tiny-folder.ts';

/** What a folder says of its processors, and which of our pictures and texts it is asked about. */
export interface ProcessingCase {
  readonly name: string;
  readonly kind: 'fixed' | 'naflex';
  /** Beside what our own preprocessor_config.json says; `nested` in processor_config.json, as transformers 5 saves it. */
  readonly processor?: Readonly<Record<string, unknown>>;
  readonly nested?: Readonly<Record<string, unknown>>;
  /** Fields of tokenizer_config.json; `lowerCase` false takes the normaliser out of tokenizer.json. */
  readonly tokenizer?: Readonly<Record<string, unknown>>;
  readonly lowerCase?: boolean;
  readonly pictures: readonly string[];
}

// Of an image with one clear colour Pillow's RGB still knows which one it was, and transformers lays that on white.
const all = ['plain.png', 'square.png', 'wide-gamut.jpg', 'cmyk.jpg', 'alpha.png', 'grey-alpha.png'];
const square = ['square.png'];
const imagenet = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] };
const texts = { pictures: [] as string[] };

export const cases: readonly ProcessingCase[] = [
  { name: 'our own', kind: 'fixed', pictures: all },
  { name: 'mean and deviation of ImageNet', kind: 'fixed', processor: imagenet, pictures: all },
  ...[0, 1, 3, 4, 5].map(
    (resample): ProcessingCase => ({
      name: `resample ${resample}`,
      kind: 'fixed',
      processor: { resample },
      pictures: ['plain.png', 'cmyk.jpg'],
    }),
  ),
  {
    name: 'not normalised',
    kind: 'fixed',
    processor: { do_normalize: false, rescale_factor: 1 / 127.5 },
    pictures: all,
  },
  {
    name: 'not rescaled',
    kind: 'fixed',
    processor: { do_rescale: false, image_mean: 100, image_std: [50, 60, 70] },
    pictures: all,
  },
  {
    name: 'nulls',
    kind: 'fixed',
    processor: { do_normalize: null, image_std: null, do_convert_rgb: null },
    pictures: all,
  },
  { name: 'nested beside another', kind: 'fixed', nested: { ...imagenet, resample: 3 }, pictures: all },
  {
    name: 'size of one number, to a square',
    kind: 'fixed',
    processor: { size: 16, default_to_square: true },
    pictures: all,
  },
  { name: 'size of one number', kind: 'fixed', processor: { size: 16 }, pictures: square },
  {
    name: 'size of both edges',
    kind: 'fixed',
    processor: { size: { shortest_edge: 20, longest_edge: 16 } },
    pictures: square,
  },
  { name: 'not resized', kind: 'fixed', processor: { do_resize: false }, pictures: square },
  ...[16, 256].map(
    (max_num_patches): ProcessingCase => ({
      name: `${max_num_patches} patches`,
      kind: 'naflex',
      processor: { max_num_patches },
      pictures: all,
    }),
  ),
  { name: 'NaFlex, nested', kind: 'naflex', nested: { ...imagenet, resample: 3, max_num_patches: 24 }, pictures: all },
  {
    name: 'NaFlex, not resized',
    kind: 'naflex',
    processor: { do_resize: false, max_num_patches: 30 },
    pictures: ['plain.png', 'square.png'],
  },
  { name: 'a tokenizer that keeps capitals', kind: 'fixed', lowerCase: false, tokenizer: {}, ...texts },
  { name: 'the class of Gemma', kind: 'fixed', tokenizer: { tokenizer_class: 'GemmaTokenizer' }, ...texts },
  {
    name: 'the class of SigLIP 2',
    kind: 'fixed',
    lowerCase: false,
    tokenizer: { tokenizer_class: 'Siglip2Tokenizer' },
    ...texts,
  },
  {
    name: 'the class of Gemma, NaFlex',
    kind: 'naflex',
    lowerCase: false,
    tokenizer: { tokenizer_class: 'GemmaTokenizerFast' },
    ...texts,
  },
];

export const caseTexts = ['A Photo of a CAT', '<PAD> pad', 'two\nLINES <eos>', 'ΟΔΥΣΣΕΥΣ', ''];
export const picture = (name: string) =>
  fileURLToPath(new URL(`../../data/example/fixtures/colour/${name}`, import.meta.url));

const size = { width: 12, depth: 1, mlp: 16, heads: 2 };
export const modelOfCase = (kind: ProcessingCase['kind']): ModelConfig => ({
  vision: { ...size, patch: 4, resolution: 16, ...(kind === 'naflex' && { kind }) },
  text: { ...size, width: 6, length: 12, vocabulary: fullVocabulary },
});

const tokenizers: Partial<Record<ProcessingCase['kind'], FolderFile[]>> = {};
const tensors: Partial<Record<ProcessingCase['kind'], ReturnType<typeof tinyTensors>>> = {};

/** Writes the folder of a case: a pure function of this file and of what it calls. */
export async function writeCase(
  folder: string,
  { kind, processor, nested, tokenizer, lowerCase }: ProcessingCase,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const model = modelOfCase(kind);
  const write = (path: string, value: unknown) => writeFile(join(folder, path), JSON.stringify(value, null, 2));
  await writeFile(join(folder, 'config.json'), modelConfigFile(model).content);
  const own = JSON.parse(preprocessorFile(model).content);
  await write('preprocessor_config.json', { ...own, ...processor });
  if (nested)
    await write('processor_config.json', {
      processor_class: own.processor_class,
      image_processor: { ...own, ...nested },
    });
  if (tokenizer) {
    tokenizers[kind] ??= await tokenizerFolderFiles(model);
    for (const { path, content } of tokenizers[kind]) {
      // Seventeen megabytes: read only where something in it changes.
      if (path === 'tokenizer_config.json') await write(path, { ...JSON.parse(content), ...tokenizer });
      else if (path === 'tokenizer.json' && lowerCase === false) {
        const json = JSON.parse(content);
        await writeFile(join(folder, path), JSON.stringify({ ...json, normalizer: json.normalizer.normalizers[1] }));
      } else await writeFile(join(folder, path), content);
    }
  }
  tensors[kind] ??= tinyTensors(model);
  await writeSafetensors(join(folder, 'model.safetensors'), tensors[kind]);
}

/** Writes all cases as `before/N`, and pictures, for make_processing.py. */
export async function writeCases(folder: string): Promise<void> {
  for (const [i, one] of cases.entries()) await writeCase(join(folder, 'before', `${i}`), one);
  for (const name of all) await copyFile(picture(name), join(folder, name));
  await writeFile(join(folder, 'cases.json'), JSON.stringify({ cases, texts: caseTexts, length: 12 }));
}
