import { permutation, type RandomStream } from '../../runtime/random.ts';

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

export function brightness(pixels: Uint8Array, factor: number): void {
  replace(pixels, blended(0, factor));
}

export function contrast(pixels: Uint8Array, factor: number): void {
  let sum = 0;
  for (let i = 0; i < pixels.length; i += 3) sum += luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
  replace(pixels, blended(Math.trunc(sum / (pixels.length / 3) + 0.5), factor));
}

const moved = new Float32Array(511);

export function saturation(pixels: Uint8Array, factor: number): void {
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
  for (let i = 0; i < pixels.length; i += 3) {
    const grey = luma(pixels[i]!, pixels[i + 1]!, pixels[i + 2]!);
    pixels[i] = pixels[i + 1] = pixels[i + 2] = grey;
  }
}

/** Turns hues by `turn`, -0.5 to 0.5 of the circle, in Pillow's 256 steps. */
export function hue(pixels: Uint8Array, turn: number): void {
  const steps = Math.trunc(turn * 255) & 255;
  circle ??= makeCircle();
  const { sector, part, quotients, saturations } = circle;
  // Pillow's Convert.c `rgb2hsv_row` and `hsv2rgb`, which reckon in float32.
  for (let i = 0; i < pixels.length; i += 3) {
    const [r, g, b] = [pixels[i]!, pixels[i + 1]!, pixels[i + 2]!];
    const most = r > g ? (r > b ? r : b) : g > b ? g : b;
    const range = most - (r < g ? (r < b ? r : b) : g < b ? g : b);
    if (range === 0) continue;
    const row = range << 8;
    const [rc, gc, bc] = [quotients[row | (most - r)]!, quotients[row | (most - g)]!, quotients[row | (most - b)]!];
    const sixths = r === most ? f(bc - gc) : g === most ? f(f(2 + rc) - bc) : f(f(4 + gc) - rc);
    // The rest by 1, which `%` would take a function call for.
    const around = sixths / 6 + 1;
    const turned = f(around >= 1 ? around - 1 : around);
    const h = (((turned * 255) | 0) + steps) & 255;
    const s = saturations[row | most]!;
    if (s === 0) {
      pixels[i] = pixels[i + 1] = pixels[i + 2] = most;
      continue;
    }
    const fs = f(s / 255);
    // As Math.round, since none is negative.
    const p = (f(most * (1 - fs)) + 0.5) | 0;
    const q = (f(most * (1 - fs * part[h]!)) + 0.5) | 0;
    const t = (f(most * (1 - fs * (1 - part[h]!))) + 0.5) | 0;
    const at = sector[h]!;
    pixels[i] = at === 0 || at === 5 ? most : at === 1 ? q : at === 4 ? t : p;
    pixels[i + 1] = at === 1 || at === 2 ? most : at === 0 ? t : at === 3 ? q : p;
    pixels[i + 2] = at === 3 || at === 4 ? most : at === 2 ? t : at === 5 ? q : p;
  }
}

let circle: ReturnType<typeof makeCircle> | null = null;

/**
 * In which sixth of the circle each of 256 hues lies, and where within it. By a range of bytes, which is the upper half of
 * a place: what each byte is of it, and how saturated a colour is of which it is the most.
 */
function makeCircle() {
  const place = Float32Array.from({ length: 256 }, (_, h) => (h * 6) / 255);
  const sector = Uint8Array.from(place, (at) => Math.floor(at) % 6);
  const part = Float32Array.from(place, (at) => at - Math.floor(at));
  const quotients = new Float32Array(256 * 256);
  const saturations = new Uint8Array(256 * 256);
  for (let range = 1; range < 256; range++) {
    for (let byte = 0; byte <= range; byte++) quotients[range * 256 + byte] = byte / range;
    for (let most = range; most < 256; most++) saturations[range * 256 + most] = f(range / most) * 255;
  }
  return { sector, part, quotients, saturations };
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
