import { RunnerError } from '../runtime/errors.ts';
import { printable } from '../runtime/printable.ts';
import type { Benchmark, Example, Fault } from './benchmark.ts';
import { type Files, isPicture, isSafe, listFile } from './files.ts';

/** VOC's classes; 0 is the background and 255 the edges. */
export const vocClasses = [
  ...[
    'background',
    'aeroplane',
    'bicycle',
    'bird',
    'boat',
    'bottle',
    'bus',
    'car',
    'cat',
    'chair',
    'cow',
    'diningtable',
  ],
  ...['dog', 'horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor'],
];

/** VOC2012 as it is unpacked: the names of `ImageSets/Segmentation/SPLIT.txt`, `JPEGImages`, `SegmentationClass`. */
export async function openVoc(files: Files, split = 'val'): Promise<Benchmark> {
  const names = await needed(files, `ImageSets/Segmentation/${split}.txt`);
  return {
    classes: vocClasses,
    templates: null,
    notes: [],
    async *examples() {
      for (const name of names)
        yield await paired(files, name, `JPEGImages/${name}.jpg`, { mask: `SegmentationClass/${name}.png` });
    },
  };
}

/**
 * ADE20k of the scene parsing challenge: `images/SPLIT`, `annotations/SPLIT`, and the names of its 150 classes in
 * `objectInfo150.txt`. Its masks begin with 1: read them with `zero: 'none'`.
 */
export async function openAde20k(files: Files, split = 'validation'): Promise<Benchmark> {
  const table = await listFile(files, 'objectInfo150.txt');
  // The last column of a line: "door, double door".
  const classes = table?.slice(1).flatMap((line) => (line === '' ? [] : line.split('\t').at(-1)!.trim())) ?? null;
  return {
    classes,
    templates: null,
    zero: 'none',
    notes: classes ? [] : ['objectInfo150.txt is not there: classes have no names'],
    async *examples() {
      let found = 0;
      for await (const picture of files.list(`images/${split}`)) {
        found++;
        const name = picture.slice(`images/${split}/`.length);
        if (!isPicture(picture)) yield { name: printable(name), fault: 'it is no picture' };
        else
          yield await paired(files, name, picture, {
            mask: `annotations/${split}/${name.replace(/\.[^.]*$/, '')}.png`,
          });
      }
      if (found === 0)
        throw new RunnerError(
          'DataContract',
          `${files.where}/images/${split} has no picture; is this the folder of the data set?`,
        );
    },
  };
}

/**
 * NYU depth as BTS, DINOv2 and DINOv3 have it: `nyu_test.txt` with a picture, its depth (a PNG with 16 bits, in millimetres) and
 * the focal length on each line. The labelled .mat file is HDF5 of 2.8 GB, and is not read: BTS's extract_official_train_test_set
 * makes these of it.
 */
export async function openNyu(files: Files, split: 'train' | 'test' = 'test'): Promise<Benchmark> {
  const lines = await needed(files, `nyu_${split}.txt`);
  return {
    classes: null,
    templates: null,
    notes: [],
    async *examples() {
      for (const [i, line] of lines.entries()) {
        const [picture, depth] = line.split(/\s+/).map((name) => name.replace(/^\/+/, ''));
        const name = `nyu_${split}.txt line ${i + 1}`;
        if (!picture || !depth || !isSafe(picture) || !isSafe(depth))
          yield { name, fault: 'it names no picture and depth' };
        else if (depth === 'None') yield { name, fault: 'its depth is None' };
        else yield await paired(files, picture, picture, { depth });
      }
    },
  };
}

async function needed(files: Files, name: string): Promise<string[]> {
  const lines = (await listFile(files, name))?.filter((line) => line !== '');
  if (!lines)
    throw new RunnerError('DataContract', `${files.where}/${name} is not there; is this the folder of the data set?`);
  if (lines.length === 0) throw new RunnerError('DataContract', `${files.where}/${name} is empty`);
  return lines;
}

async function paired(
  files: Files,
  name: string,
  picture: string,
  values: { readonly mask: string } | { readonly depth: string },
): Promise<Example | Fault> {
  for (const file of [picture, ...Object.values(values)]) {
    if (!isSafe(file)) return { name: printable(name), fault: 'it names no file within the data set' };
    if ((await files.size(file)) === null) return { name: printable(name), fault: `${printable(file)} is not there` };
  }
  return { name, picture: { file: picture }, ...values };
}
