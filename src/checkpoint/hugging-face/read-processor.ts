import { join } from 'node:path';
import { patchGrid } from '../../model/parameters.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { isFile, readJsonFile } from './folder-json.ts';
import type { SizeRule } from './resized-size.ts';

/** Pillow's filters, in the order of their numbers. */
export const resamplings = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'] as const;
export type Resampling = (typeof resamplings)[number];
type Three = readonly [number, number, number];

/** What a folder's image processor makes of a picture: it is resized, and each byte becomes (byte factor - mean) / std. */
export interface ImageProcessing {
  /** Of a fixed model; null where pictures are taken as they are. */
  readonly size: SizeRule | null;
  readonly resampling: Resampling;
  readonly factor: number;
  readonly mean: Three;
  readonly std: Three;
  /** Most patches of a picture, of a NaFlex model. */
  readonly patches: number;
  /** Or a picture is taken as it is. */
  readonly resized: boolean;
}

/** What every export of ours says. */
export function ownProcessing(config: ModelConfig): ImageProcessing {
  const { resolution } = config.vision;
  return {
    size: { height: resolution, width: resolution },
    resampling: 'bilinear',
    factor: 1 / 255,
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
    patches: patchGrid(config) ** 2,
    resized: true,
  };
}

/**
 * The image processor of a folder as transformers 5 reads it: `image_processor` of processor_config.json, or else
 * preprocessor_config.json, with the defaults of its class. RecipeInvalid, naming the field, for what can't be followed.
 * Without either file it is ours.
 */
export async function readProcessor(folder: string, config: ModelConfig): Promise<ImageProcessing> {
  const found = await settingsOf(folder);
  if (found === null) return ownProcessing(config);
  const { fields, file } = found;
  const naflex = config.vision.kind === 'naflex';
  const read = new Fields(fields, file);
  const type = String(fields.image_processor_type ?? fields.feature_extractor_type ?? '')
    .replace(/(?:Fast|Pil)$/, '')
    .replace('FeatureExtractor', 'ImageProcessor');
  const wanted = naflex ? 'Siglip2ImageProcessor' : 'SiglipImageProcessor';
  if (type !== '' && type !== wanted) throw read.fail('image_processor_type', wanted);
  // Pictures are always made red, green and blue: a processor that is told not to can't use any other.
  const known = ['do_resize', 'do_rescale', 'do_normalize', 'do_convert_rgb'];
  for (const name of known) read.flag(name);
  const other = Object.keys(fields).find(
    (name) => name.startsWith('do_') && !known.includes(name) && fields[name] !== false && fields[name] !== null,
  );
  if (other !== undefined) throw read.fail(other, 'false');
  const normalised = read.flag('do_normalize');
  const resized = read.flag('do_resize');
  const plain = {
    resampling: resized ? read.resampling(naflex ? 'bilinear' : 'bicubic') : ('bilinear' as const),
    factor: read.flag('do_rescale') ? read.number('rescale_factor', 1 / 255) : 1,
    mean: normalised ? read.three('image_mean') : ([0, 0, 0] as const),
    std: normalised ? read.three('image_std') : ([1, 1, 1] as const),
    resized,
  };
  if (plain.std.includes(0)) throw read.fail('image_std', 'numbers other than 0');
  if (!naflex) return { ...plain, size: resized ? read.size() : null, patches: 256 };
  const { patch } = config.vision;
  if (read.whole('patch_size', 16, 256) !== patch)
    throw read.fail('patch_size', `${patch}, which config.json says of the model`);
  return { ...plain, size: null, patches: read.whole('max_num_patches', 256, 65_536) };
}

/** Where a processor lets a model see another picture than training will: named, with what training does. */
export function differencesFromTraining(config: ModelConfig, processing: ImageProcessing): string[] {
  const { size, resampling, resized } = processing;
  const { resolution, kind } = config.vision;
  const square = size !== null && 'height' in size && size.height === resolution && size.width === resolution;
  return [
    ...(resized ? [] : ['do_resize is false, and training resizes every picture']),
    ...(!resized || kind === 'naflex' || square
      ? []
      : [`size is ${JSON.stringify(size)}, and training sees ${resolution} x ${resolution} pixels`]),
    ...(!resized || resampling === 'bilinear'
      ? []
      : [`resample is ${resamplings.indexOf(resampling)} (${resampling}), and training resizes by 2 (bilinear)`]),
  ];
}

/** Whether a folder says how pictures are to be seen. */
export const hasProcessor = async (folder: string): Promise<boolean> => (await settingsOf(folder)) !== null;

async function settingsOf(folder: string): Promise<{ fields: Record<string, unknown>; file: string } | null> {
  const nested = join(folder, 'processor_config.json');
  if (await isFile(nested)) {
    const { image_processor: fields } = await readJsonFile(nested);
    if (typeof fields === 'object' && fields !== null)
      return { fields: fields as Record<string, unknown>, file: `image_processor of ${nested}` };
  }
  const file = join(folder, 'preprocessor_config.json');
  return (await isFile(file)) ? { fields: await readJsonFile(file), file } : null;
}

/** What is left out is as the class has it by default. Null is not: of a flag it is false, and else no value at all. */
class Fields {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #file: string;

  constructor(fields: Readonly<Record<string, unknown>>, file: string) {
    this.#fields = fields;
    this.#file = file;
  }

  fail(name: string, allowed: string): RunnerError {
    const value = (JSON.stringify(this.#fields[name]) ?? 'missing').slice(0, 80);
    return new RunnerError(
      'RecipeInvalid',
      `${this.#file}: ${name} is ${value}, which can't be followed; allowed: ${allowed}`,
    );
  }

  #of(name: string, otherwise: unknown): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : otherwise;
  }

  flag(name: string): boolean {
    const value = this.#of(name, true);
    if (typeof value !== 'boolean' && value !== null) throw this.fail(name, 'true, false');
    return value === true;
  }

  number(name: string, otherwise: number): number {
    const value = this.#of(name, otherwise);
    if (typeof value !== 'number') throw this.fail(name, 'a number');
    return value;
  }

  whole(name: string, otherwise: number, most: number): number {
    const value = this.number(name, otherwise);
    if (!Number.isInteger(value) || value < 1 || value > most) throw this.fail(name, `a whole number of 1 to ${most}`);
    return value;
  }

  three(name: string): Three {
    const value = this.#of(name, 0.5);
    const all = Array.isArray(value) ? value : [value, value, value];
    if (all.length !== 3 || !all.every((one) => typeof one === 'number')) throw this.fail(name, 'one number or three');
    return all as unknown as Three;
  }

  resampling(otherwise: Resampling): Resampling {
    const value = this.#of('resample', resamplings.indexOf(otherwise));
    const found = typeof value === 'number' ? resamplings[value] : undefined;
    if (found === undefined)
      throw this.fail('resample', resamplings.map((name, number) => `${number} (${name})`).join(', '));
    return found;
  }

  /** A number is the shorter side unless `default_to_square`, two are height and width. */
  size(): SizeRule {
    const value = this.#of('size', { height: 224, width: 224 });
    const rule: unknown = Array.isArray(value)
      ? { height: value[0], width: value[1], ...(value.length !== 2 && { more: true }) }
      : typeof value === 'number'
        ? this.#fields.default_to_square === true
          ? { height: value, width: value }
          : { shortest_edge: value }
        : value;
    const sides = typeof rule === 'object' && rule !== null ? Object.entries(rule) : [];
    const names = sides.map(([name]) => name).sort();
    const allowed = ['height,width', 'shortest_edge', 'longest_edge,shortest_edge', 'max_height,max_width'];
    const good = sides.every(([, side]) => Number.isInteger(side) && side >= 1 && side <= 16_384);
    if (!good || !allowed.includes(names.join()))
      throw this.fail('size', `a whole number, two, or an object of ${allowed.join('; ').replaceAll(',', ' and ')}`);
    return rule as SizeRule;
  }
}
