import { permutation, type RandomStream } from '../../runtime/random.ts';
import { hue } from './hue.ts';
import { inVectors } from './simd/in-vectors.ts';

/**
 * Changes of colour on (N, 3) bytes, in place, with the bytes that torchvision gets from Pillow (`functional_pil`):
 * `ImageEnhance` for brightness, contrast and saturation, `convert("HSV")` for hue, `convert("L")` for grey.
 */

/** Luma of a pixel as Pillow's Convert.c `L24`. */
const luma = (r: number, g: number, b: number) => (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;

const f = Math.fround;

const table = new Uint8Array(256);

/** Pillow `Image.blend` of each byte with `from`: clipped and truncated. It is overwritten by the next. */
function blended(from: number, factor: number): Uint8Array {
  const share = f(factor);
  for (let to = 0; to < 256; to++) {
    const mixed = f(from + f(share * (to - from)));
    table[to] = mixed <= 0 ? 0 : mixed >= 255 ? 255 : mixed;
  }
  return table;
}

function replace(pixels: Uint8Array, by: Uint8Array): void {
  for (let i = 0; i < pixels.length; i++) pixels[i] = by[pixels[i]!]!;
}

function blend(pixels: Uint8Array, from: number, factor: number): void {
  const fast = inVectors(pixels, ({ run }, at, size) => run.blend(at, size, from, factor));
  if (!fast) replace(pixels, blended(from, factor));
}

export function brightness(pixels: Uint8Array, factor: number): void {
  blend(pixels, 0, factor);
}

export function contrast(pixels: Uint8Array, factor: number): void {
  let sum = 0;
  const fast = inVectors(pixels, (vectors, at, size, sums) => {
    vectors.run.sumLuma(at, size, sums);
    sum = vectors.ints(sums, 4).reduce((a, b) => a + b);
  });
  if (!fast) for (let i = 0; i < pixels.length; i += 3) sum += luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
  blend(pixels, Math.trunc(sum / (pixels.length / 3) + 0.5), factor);
}

const moved = new Float32Array(511);

export function saturation(pixels: Uint8Array, factor: number): void {
  if (inVectors(pixels, ({ run }, at, size) => run.saturate(at, size, factor))) return;
  // By how far a byte lies from its grey.
  for (let i = 0; i < moved.length; i++) moved[i] = f(factor) * (i - 255);
  for (let i = 0; i < pixels.length; i += 3) {
    const grey = luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
    for (let k = i; k < i + 3; k++) {
      const mixed = f(grey + moved[pixels[k]! - grey + 255]!);
      pixels[k] = mixed <= 0 ? 0 : mixed >= 255 ? 255 : mixed;
    }
  }
}

export function greyscale(pixels: Uint8Array): void {
  if (inVectors(pixels, ({ run }, at, size) => run.saturate(at, size, 0))) return;
  for (let i = 0; i < pixels.length; i += 3) {
    const grey = luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
    pixels[i] = pixels[i + 1] = pixels[i + 2] = grey;
  }
}

/** Strengths of `ColorJitter`. */
export interface Jitter {
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  readonly hue: number;
}

/** torchvision `ColorJitter`: each change by a factor drawn around 1 (hue: around 0), in an order drawn each time. */
export function colorJitter(pixels: Uint8Array, strength: Jitter, random: RandomStream): void {
  const around = (middle: number, by: number) => Math.max(0, middle - by) + random.next() * (by + Math.min(by, middle));
  const changes = [
    [brightness, around(1, strength.brightness)],
    [contrast, around(1, strength.contrast)],
    [saturation, around(1, strength.saturation)],
    [hue, (2 * random.next() - 1) * strength.hue],
  ] as const;
  for (const i of permutation(changes.length, random)) {
    const [change, factor] = changes[i]!;
    change(pixels, factor);
  }
}
