import { inVectors } from './simd/in-vectors.ts';

const f = Math.fround;

/**
 * Turns hues of (N, 3) bytes by `turn`, -0.5 to 0.5 of the circle, in Pillow's 256 steps, in place: the bytes of its
 * Convert.c `rgb2hsv_row` and `hsv2rgb`, which reckon in float32. Everything that depends on few bytes is looked up, and
 * nothing is asked in a branch, since of a picture nobody can guess which colour is the most.
 */
export function hue(pixels: Uint8Array, turn: number): void {
  const steps = Math.trunc(turn * 255) & 255;
  if (inVectors(pixels, ({ run }, at, size) => run.turnHue(at, size, steps))) return;
  tables ??= makeTables();
  const { most: mostAt, least: leastAt, hues, saturations, shares, lows, places, weights } = tables;
  for (let i = 0; i < pixels.length; i += 3) {
    const [r, g, b] = [pixels[i]!, pixels[i + 1]!, pixels[i + 2]!];
    const order = orderOf(r, g, b);
    const most = pixels[i + mostAt[order]!]!;
    const least = pixels[i + leastAt[order]!]!;
    const range = most - least;
    if (range === 0) continue;
    const middle = r + g + b - most - 2 * least;
    const h = (hues[order * triangle + ((range * (range + 1)) >> 1) + middle]! + steps) & 255;
    const s = saturations[(range << 8) | most]!;
    // As Math.round, since none is negative.
    const between = (f(most * (1 - shares[s]! * weights[h]!)) + 0.5) | 0;
    const place = places[h]!;
    pixels[i + (place & 3)] = most;
    pixels[i + ((place >> 2) & 3)] = lows[(s << 8) | most]!;
    pixels[i + (place >> 4)] = between;
  }
}

/** A number for the order of the three; where two are equal it is one of those that they may be put in. */
const orderOf = (r: number, g: number, b: number) =>
  (((g - r) >>> 31) << 2) | (((b - g) >>> 31) << 1) | ((b - r) >>> 31);

/** Pairs of a range of 0 to 255 and a byte within it. */
const triangle = (256 * 257) / 2;

let tables: ReturnType<typeof makeTables> | null = null;

function makeTables() {
  const [most, least] = [new Uint8Array(8), new Uint8Array(8)];
  const hues = new Uint8Array(8 * triangle);
  const saturations = new Uint8Array(256 * 256);
  const permutations = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ] as const;
  for (const [first, second, third] of permutations) {
    const colour = [0, 0, 0];
    colour[first] = 2;
    colour[second] = 1;
    const order = orderOf(colour[0]!, colour[1]!, colour[2]!);
    [most[order], least[order]] = [first, third];
  }
  for (const [first, second, third] of permutations)
    for (let range = 1; range < 256; range++)
      for (let middle = 0; middle <= range; middle++) {
        const colour = [0, 0, 0];
        [colour[first], colour[second], colour[third]] = [range, middle, 0];
        const [r, g, b] = colour as [number, number, number];
        hues[orderOf(r, g, b) * triangle + ((range * (range + 1)) >> 1) + middle] = hueOf(r, g, b);
      }
  for (let range = 1; range < 256; range++)
    for (let byte = range; byte < 256; byte++) saturations[range * 256 + byte] = f(range / byte) * 255;
  const shares = Float32Array.from({ length: 256 }, (_, s) => s / 255);
  const lows = Uint8Array.from({ length: 65_536 }, (_, at) => (f((at & 255) * (1 - shares[at >> 8]!)) + 0.5) | 0);
  const around = Float32Array.from({ length: 256 }, (_, h) => (h * 6) / 255);
  const parts = Float32Array.from(around, (at) => at - Math.floor(at));
  const sectors = Uint8Array.from(around, (at) => Math.floor(at) % 6);
  // In every second sixth of the circle what lies between falls.
  const weights = Float64Array.from(parts, (part, h) => (sectors[h]! % 2 === 1 ? part : 1 - part));
  const places = Uint8Array.from(sectors, (sector) => {
    const [high, low, between] = (
      [
        [0, 2, 1],
        [1, 2, 0],
        [1, 0, 2],
        [2, 0, 1],
        [2, 1, 0],
        [0, 1, 2],
      ] as const
    )[sector]!;
    return high | (low << 2) | (between << 4);
  });
  return { most, least, hues, saturations, shares, lows, places, weights };
}

/** Of a colour whose bytes differ, with its least byte 0: what Pillow finds depends on differences alone. */
function hueOf(r: number, g: number, b: number): number {
  const most = Math.max(r, g, b);
  const [rc, gc, bc] = [f((most - r) / most), f((most - g) / most), f((most - b) / most)];
  const sixths = r === most ? f(bc - gc) : g === most ? f(f(2 + rc) - bc) : f(f(4 + gc) - rc);
  return (f((sixths / 6 + 1) % 1) * 255) & 255;
}
