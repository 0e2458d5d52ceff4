import { permutation, type RandomStream } from '../../runtime/random.ts';

/**
 * Changes of colour on (N, 3) bytes, in place, with the bytes that torchvision gets from Pillow (`functional_pil`):
 * `ImageEnhance` for brightness, contrast and saturation, `convert("HSV")` for hue, `convert("L")` for grey.
 */

/** Luma of a pixel as Pillow's Convert.c `L24`. */
const luma = (r: number, g: number, b: number) => (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;

/** Pillow `Image.blend` towards `from`: clipped and truncated. */
const blend = (from: number, to: number, factor: number) => {
  const mixed = Math.fround(from + Math.fround(Math.fround(factor) * (to - from)));
  return mixed <= 0 ? 0 : mixed >= 255 ? 255 : Math.trunc(mixed);
};

export function brightness(pixels: Uint8Array, factor: number): void {
  for (let i = 0; i < pixels.length; i++) pixels[i] = blend(0, pixels[i]!, factor);
}

export function contrast(pixels: Uint8Array, factor: number): void {
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 3) sum += luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
  const mean = Math.trunc(sum / (pixels.length / 3) + 0.5);
  for (let i = 0; i < pixels.length; i++) pixels[i] = blend(mean, pixels[i]!, factor);
}

export function saturation(pixels: Uint8Array, factor: number): void {
  for (let i = 0; i < pixels.length; i += 3) {
    const grey = luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
    for (let k = i; k < i + 3; k++) pixels[k] = blend(grey, pixels[k]!, factor);
  }
}

/** Turns hues by `turn`, -0.5 to 0.5 of the circle, in Pillow's 256 steps. */
export function hue(pixels: Uint8Array, turn: number): void {
  const steps = Math.trunc(turn * 255) & 255;
  for (let i = 0; i < pixels.length; i += 3) turnPixel(pixels, i, steps);
}

export function greyscale(pixels: Uint8Array): void {
  for (let i = 0; i < pixels.length; i += 3) pixels.fill(luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!), i, i + 3);
}

/** Pillow's Convert.c `rgb2hsv_row` and `hsv2rgb`, which reckon in float32. */
function turnPixel(pixels: Uint8Array, at: number, steps: number): void {
  const f = Math.fround;
  const [r, g, b] = [pixels[at]!, pixels[at + 1]!, pixels[at + 2]!];
  const most = Math.max(r, g, b);
  const range = most - Math.min(r, g, b);
  if (range === 0) return;
  const [rc, gc, bc] = [f((most - r) / range), f((most - g) / range), f((most - b) / range)];
  const sixths = r === most ? f(bc - gc) : g === most ? f(f(2 + rc) - bc) : f(f(4 + gc) - rc);
  const turned = f((sixths / 6 + 1) % 1);
  const h = (Math.trunc(turned * 255) + steps) & 255;
  const s = Math.trunc(f(range / most) * 255);
  if (s === 0) {
    pixels.fill(most, at, at + 3);
    return;
  }
  const place = f((h * 6) / 255);
  const sector = Math.floor(place);
  const part = f(place - sector);
  const fs = f(s / 255);
  const p = Math.round(f(most * (1 - fs)));
  const q = Math.round(f(most * (1 - fs * part)));
  const t = Math.round(f(most * (1 - fs * (1 - part))));
  const sectors: [number, number, number][] = [
    [most, t, p],
    [q, most, p],
    [p, most, t],
    [p, q, most],
    [t, p, most],
    [most, p, q],
  ];
  pixels.set(sectors[sector % 6]!, at);
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
