import type { Pixels } from '../example/pixels.ts';
import { resizeAntialiased } from '../views/resize-antialiased.ts';

/** What copies of a picture in other sizes and qualities have in common. */
export interface Outline {
  /** dHash of 8 x 8 (Krawetz 2013): two words of 32 bits, the upper rows first. */
  readonly high: number;
  readonly low: number;
  /** (4, 4, 3): its colours, since outlines alone join whatever has one shape, and all that is flat. */
  readonly colours: Uint8Array;
}

export function outlineOf(image: Pixels): Outline {
  const fields = new Uint8Array(9 * 8 * 3);
  resizeAntialiased(image, 9, 8, fields);
  const words: [number, number] = [0, 0];
  for (let y = 0; y < 8; y++)
    for (let x = 0; x < 8; x++) {
      const bit = light(fields, 9 * y + x + 1) > light(fields, 9 * y + x) ? 1 : 0;
      const word = y < 4 ? 0 : 1;
      words[word] = ((words[word] << 1) | bit) >>> 0;
    }
  const colours = new Uint8Array(4 * 4 * 3);
  resizeAntialiased(image, 4, 4, colours);
  return { high: words[0], low: words[1], colours };
}

/** As Pillow turns a pixel to grey: ITU-R 601-2 in 16 bits. */
const light = (fields: Uint8Array, i: number) =>
  (fields[3 * i]! * 19_595 + fields[3 * i + 1]! * 38_470 + fields[3 * i + 2]! * 7_471 + 0x8000) >> 16;
