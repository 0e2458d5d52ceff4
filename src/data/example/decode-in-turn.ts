import sharp from 'sharp';
import { decodeImage } from './decode.ts';
import type { Pixels } from './pixels.ts';

/** Pixels of a picture that is decoded beside others: 48 MB, and as much again while it is read. */
const beside = 16 * 2 ** 20;

let last: Promise<unknown> = Promise.resolve();

/**
 * Decodes an image as `decodeImage` does, and those that are very large one after another: a file of a megabyte can
 * take a gigabyte of memory on its way, and several readers at work would take it several times.
 */
export async function decodeInTurn(bytes: Uint8Array): Promise<Pixels> {
  if ((await pixelsOf(bytes)) <= beside) return decodeImage(bytes);
  const turn = last.then(() => decodeImage(bytes));
  last = turn.catch(() => {});
  return turn;
}

/** As its header says; 0 where that can't be read, which decoding tells in words. */
async function pixelsOf(bytes: Uint8Array): Promise<number> {
  const { width, height } = await sharp(bytes, { limitInputPixels: false })
    .metadata()
    .catch(() => ({ width: 0, height: 0 }));
  return width * height;
}
