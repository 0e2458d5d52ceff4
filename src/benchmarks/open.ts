import { RunnerError } from '../runtime/errors.ts';
import type { Benchmark } from './benchmark.ts';
import { openKarpathy, openXm3600 } from './captions.ts';
import { openClipBenchmark } from './clip-benchmark.ts';
import { openAde20k, openNyu, openVoc } from './dense.ts';
import { openDetection } from './detection.ts';
import type { Files } from './files.ts';
import { openImageFolder } from './image-folder.ts';
import { openImagenetReal } from './imagenet-real.ts';
import { openDollarStreet, openGeoDe } from './places.ts';
import { openRefCoco } from './refcoco.ts';
import { openSciCap, openScreen2Words, openTextCaps } from './text-pictures.ts';

/** The languages of Crossmodal-3600, by the tags that it has: quz is Cusco Quechua. */
export const xm3600Languages = [
  ...['ar', 'bn', 'cs', 'da', 'de', 'el', 'en', 'es', 'fa', 'fi', 'fil', 'fr', 'he', 'hi', 'hr', 'hu', 'id', 'it'],
  ...['ja', 'ko', 'mi', 'nl', 'no', 'pl', 'pt', 'quz', 'ro', 'ru', 'sv', 'sw', 'te', 'th', 'tr', 'uk', 'vi', 'zh'],
];

/** What may be said of a data set beside its kind; each kind has its own usual values. */
export interface OpenOptions {
  readonly split?: string | undefined;
  /** The file that says what there is. */
  readonly table?: string | undefined;
  /** Folder that names of pictures begin at. */
  readonly pictures?: string | undefined;
}

type Open = (files: Files, options: OpenOptions) => Benchmark | Promise<Benchmark>;

const openers = {
  'clip-benchmark': (files, { split }) => openClipBenchmark(files, split),
  'image-folder': (files, { split }) => openImageFolder(files, { below: split ?? '' }),
  'imagenet-real': (files, { table }) => openImagenetReal(files, table),
  karpathy: async (files, { split, table, pictures }) => {
    const usual = ['dataset_coco.json', 'dataset_flickr30k.json', 'dataset_flickr8k.json'];
    const there = await Promise.all(usual.map((name) => files.size(name)));
    const found = table ?? usual[there.findIndex((bytes) => bytes !== null)] ?? usual[0]!;
    return openKarpathy(files, { table: found, ...(pictures !== undefined && { pictures }), ...(split && { split }) });
  },
  xm3600: (files) => openXm3600(files, { languages: xm3600Languages }),
  textcaps: (files, options) => openTextCaps(files, given(options)),
  screen2words: (files, options) => openScreen2Words(files, given(options)),
  scicap: (files, options) => openSciCap(files, given(options)),
  refcoco: (files, { split = 'val', table = 'refs(unc).p', pictures = 'train2014' }) =>
    openRefCoco(files, { references: table, split, pictures }),
  coco: (files, { split = 'val2017', table = `annotations/instances_${split}.json`, pictures = split }) =>
    openDetection(files, table, pictures),
  lvis: (files, { split = 'val', table = `lvis_v1_${split}.json`, pictures = '' }) =>
    openDetection(files, table, pictures),
  voc: (files, { split }) => openVoc(files, split),
  ade20k: (files, { split }) => openAde20k(files, split),
  nyu: (files, { split = 'test' }) => {
    if (split === 'test' || split === 'train') return openNyu(files, split);
    throw new RunnerError('RecipeInvalid', `--split is "${split}"; allowed of nyu: test, train`);
  },
  'dollar-street': (files, { table }) => openDollarStreet(files, table),
  geode: (files, { table, pictures, split }) => openGeoDe(files, table, pictures, split),
} as const satisfies Record<string, Open>;

export type Kind = keyof typeof openers;
export const kinds = Object.keys(openers) as Kind[];

/** A data set of a kind as it lies there. Errors: DataContract, where it is none; RecipeInvalid. */
export const openBenchmark = async (kind: Kind, files: Files, options: OpenOptions): Promise<Benchmark> =>
  (openers[kind] as Open)(files, options);

/** Without what is undefined, for which there are usual values. */
function given({ split, table, pictures }: OpenOptions) {
  return {
    ...(split !== undefined && { split }),
    ...(table !== undefined && { table }),
    ...(pictures !== undefined && { pictures }),
  };
}
