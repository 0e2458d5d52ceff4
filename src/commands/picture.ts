import { readFile } from 'node:fs/promises';
import type { ImageProcessing } from '../checkpoint/hugging-face/read-processor.ts';
import { resizedSize } from '../checkpoint/hugging-face/resized-size.ts';
import { decodeImage } from '../data/example/decode.ts';
import type { Pixels } from '../data/example/pixels.ts';
import { inPatches, type NaflexImage, naflexShape } from '../data/views/naflex-resize.ts';
import { resizeAntialiased } from '../data/views/resize-antialiased.ts';
import { resizeNearest } from '../data/views/resize-nearest.ts';
import type { ModelConfig } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';

/** A picture as Pillow's convert('RGB') has it: transparency is dropped, as transformers' pipelines do. */
export async function readPicture(file: string): Promise<Pixels> {
  const bytes = await readFile(file).catch((cause) => {
    throw new RunnerError('RecipeInvalid', `${file} can't be read (${cause.code}); name a picture`, { cause });
  });
  return decodeImage(bytes, 'dropped').catch((cause) => {
    throw new RunnerError('RecipeInvalid', `${file} is no picture that can be decoded: ${cause.message}`, { cause });
  });
}

/** The bytes that a fixed model is shown of a picture, as the folder's processor resizes it. */
export function squareOf(
  file: string,
  picture: Pixels,
  { vision }: ModelConfig,
  processing: ImageProcessing,
): Uint8Array {
  const { resolution } = vision;
  const { size, resampling } = processing;
  const [height, width] =
    size === null ? [picture.height, picture.width] : resizedSize(size, picture.height, picture.width);
  if (height !== resolution || width !== resolution)
    throw new RunnerError(
      'RecipeInvalid',
      `${file} of ${picture.width} x ${picture.height} is ${width} x ${height} after the folder's processor (${
        size === null ? 'do_resize false' : `size ${JSON.stringify(size)}`
      }), and the model takes ${resolution} x ${resolution}`,
    );
  return resized(picture, width, height, resampling).data;
}

/** The patches that a NaFlex model is shown of a picture. */
export function patchesOf(
  file: string,
  picture: Pixels,
  { vision: { patch } }: ModelConfig,
  { resampling, resized: resizes }: ImageProcessing,
  length: number,
): NaflexImage {
  if (resizes) {
    const [rows, columns] = naflexShape(picture.height, picture.width, patch, length);
    return inPatches(resized(picture, columns * patch, rows * patch, resampling), patch, length);
  }
  const { width, height } = picture;
  if (width % patch === 0 && height % patch === 0 && (width * height) / patch ** 2 <= length)
    return inPatches(picture, patch, length);
  throw new RunnerError(
    'RecipeInvalid',
    `${file} of ${width} x ${height} is not resized (do_resize false): whole patches of ${patch} x ${patch} are allowed, at most ${length}`,
  );
}

/** As Pillow does, which leaves an image of the very size alone. */
function resized(picture: Pixels, width: number, height: number, resampling: ImageProcessing['resampling']): Pixels {
  if (picture.width === width && picture.height === height) return picture;
  if (resampling === 'nearest') return { width, height, data: resizeNearest(picture, width, height) };
  const data = new Uint8Array(width * height * 3);
  resizeAntialiased(picture, width, height, data, 0, resampling);
  return { width, height, data };
}
