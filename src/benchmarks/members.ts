import sharp from 'sharp';
import { CorruptExample } from '../data/example/corrupt-example.ts';
import { largestImageFile } from '../data/example/example.ts';
import { imageFormat } from '../data/example/image-format.ts';
import { readDepth, readMask } from '../data/example/pixel-values.ts';
import type { Truth } from '../data/example/truth.ts';
import type { Box } from '../metrics/boxes.ts';
import { pictureEndings } from '../packing/encode.ts';
import type { ShardMember } from '../packing/shard-file.ts';
import { isRunnerError } from '../runtime/errors.ts';
import { foreignKind } from '../runtime/file-kind.ts';
import type { Benchmark, Example } from './benchmark.ts';
import type { Files } from './files.ts';

const largestMask = 64 * 1024 * 1024;
/** As many as truth.ts reads of one example. */
const mostTruths = 1000;

interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * An example as members of a shard: the picture with its very bytes, the JSON of this project, `.mask.png` and `.depth.png`.
 * What of it can't be said is told to `leaveOut`. Throws `CorruptExample` for one that can't be used.
 */
export async function membersOf(
  files: Files,
  benchmark: Benchmark,
  example: Example,
  name: string,
  leaveOut: (name: string, reason: string) => void,
): Promise<ShardMember[]> {
  const picture = await pictureOf(files, example);
  const ending = pictureEndings[imageFormat(picture) ?? ''];
  if (ending === undefined) {
    const kind = foreignKind(picture);
    throw new CorruptExample(`not a PNG, JPEG, WebP, GIF, AVIF or TIFF image${kind === null ? '' : `: ${kind}`}`);
  }
  const { truths, pointing, mask, depth } = example;
  const size = truths || pointing || mask || depth ? await sizeOf(picture) : null;
  const truth = size ? truthOf(benchmark, example, size, leaveOut) : {};
  const labels = example.labels?.map(String);
  const named = example.labels?.[0] === undefined ? undefined : benchmark.classes?.[example.labels[0]];
  const json = {
    key: example.name,
    captions: example.captions ?? (named ? { en: [named] } : {}),
    ...(labels?.length === 1 ? { concept: labels[0] } : labels && { concepts: labels }),
    ...(example.groups && { groups: toldOf(example.groups) }),
    ...truth,
  };
  return [
    { name: `${name}.${ending}`, body: picture },
    ...(mask && size ? [{ name: `${name}.mask.png`, body: await maskOf(files, mask, size, benchmark) }] : []),
    ...(depth && size ? [{ name: `${name}.depth.png`, body: await depthOf(files, depth, size) }] : []),
    { name: `${name}.json`, body: Buffer.from(JSON.stringify(json)) },
  ];
}

async function pictureOf(files: Files, { picture }: Example): Promise<Buffer> {
  const bytes = 'bytes' in picture ? picture.bytes : await fileOf(files, picture.file, largestImageFile);
  if (bytes.length === 0) throw new CorruptExample('the picture is empty');
  return bytes;
}

/** What is not there or too large is a fault of this example; what the disk or store refuses is none. */
async function fileOf(files: Files, name: string, most: number): Promise<Buffer> {
  try {
    return await files.read(name, most);
  } catch (error) {
    if (isRunnerError(error, 'DataContract')) throw new CorruptExample(`the file can't be read: ${name}`);
    throw error;
  }
}

async function sizeOf(picture: Buffer): Promise<Size> {
  try {
    const { width, height } = await sharp(picture, { failOn: 'error', limitInputPixels: false }).metadata();
    return { width, height };
  } catch {
    throw new CorruptExample("the picture's header can't be read");
  }
}

/** A group without a name says nothing. */
const toldOf = (groups: NonNullable<Example['groups']>) =>
  Object.fromEntries(Object.entries(groups).filter(([, group]) => group.trim() !== ''));

function truthOf(
  { categories }: Benchmark,
  { name, truths, pointing, negative, notExhaustive }: Example,
  size: Size,
  leaveOut: (name: string, reason: string) => void,
): Truth {
  const nameOf = (number: number) => categories?.get(number)?.name ?? String(number);
  const within = <T extends { readonly box: Box }>(all: readonly T[]) =>
    all.flatMap((one) => {
      const box = sharesOf(one.box, size);
      if (!box) leaveOut(name, 'a box lies outside of its picture');
      return box ? { ...one, box } : [];
    });
  const objects =
    truths &&
    within(truths).map(({ category, box, area, crowd }) => ({
      ...{ category: nameOf(category), box, area },
      ...(crowd && { crowd: true }),
    }));
  const regions =
    pointing && within(pointing).flatMap(({ expressions, box }) => expressions.map((caption) => ({ caption, box })));
  const most = Math.max(objects?.length ?? 0, regions?.length ?? 0);
  if (most > mostTruths) throw new CorruptExample(`it has ${most} boxes, at most ${mostTruths}`);
  return {
    ...(objects && { objects }),
    ...(regions && { regions }),
    ...(negative && { absent: negative.map(nameOf) }),
    ...(notExhaustive && { partial: notExhaustive.map(nameOf) }),
  };
}

/** [top, left, bottom, right] in shares of the sides, of what lies within the picture; null where nothing does. */
function sharesOf([x, y, w, h]: Box, { width, height }: Size): readonly [number, number, number, number] | null {
  const share = (value: number, side: number) => Math.min(1, Math.max(0, value / side));
  const [top, left, bottom, right] = [share(y, height), share(x, width), share(y + h, height), share(x + w, width)];
  return top < bottom && left < right ? [top, left, bottom, right] : null;
}

/** Its own bytes where its numbers are those of classes; else a PNG of grey values that are. */
async function maskOf(files: Files, name: string, size: Size, { zero }: Benchmark): Promise<Buffer> {
  const bytes = await fileOf(files, name, largestMask);
  const read = await readMask(bytes, { size, ...(zero && { zero }) });
  if ('fault' in read) throw new CorruptExample(read.fault);
  if (zero === undefined) return bytes;
  const raw = { width: read.width, height: read.height, channels: 1 } as const;
  return sharp(read.values, { raw }).toColourspace('b-w').png().toBuffer();
}

async function depthOf(files: Files, name: string, { width, height }: Size): Promise<Buffer> {
  const bytes = await fileOf(files, name, largestMask);
  const read = await readDepth(bytes);
  if ('fault' in read) throw new CorruptExample(read.fault);
  if (read.width !== width || read.height !== height)
    throw new CorruptExample(
      `the depth has ${read.width} x ${read.height} pixels, and its picture ${width} x ${height}`,
    );
  return bytes;
}
