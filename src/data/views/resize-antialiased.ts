import type { Pixels } from '../example/pixels.ts';

/** For each place of a resized side: the first pixel that it takes from, and the shares of it and the next ones. */
interface Taps {
  readonly first: number;
  readonly shares: Int32Array;
}

// Pillow's fixed point: shares of a byte in 22 bits, so that 255 times their sum fits 31.
const bits = 22;

/**
 * Resizes to (height, width, 3) as Pillow does with BILINEAR, and so transformers' image processors, or with BICUBIC: a
 * kernel that widens when the image shrinks, one side after the other, bytes in between, in fixed point. The same
 * bytes as Pillow 13's (src/libImaging/Resample.c). Writes to `out` at `at`.
 */
export function resizeAntialiased(
  image: Pixels,
  width: number,
  height: number,
  out: Uint8Array,
  at = 0,
  kernel: Kernel = 'bilinear',
): void {
  // As Pillow 13 was seen to choose; before it columns were always first, which moves bytes by 1 at most.
  const rowsFirst = height < image.height && image.height - height > 2 * (image.width - width);
  if (rowsFirst) resizeColumns(resizeRows(image, height, kernel), width, kernel, out, at);
  else resizeRows(resizeColumns(image, width, kernel), height, kernel, out, at);
}

/** (H, W, 3) -> (H, width, 3) */
function resizeColumns(
  { width: from, height, data }: Pixels,
  width: number,
  kernel: Kernel,
  out: Uint8Array = new Uint8Array(height * width * 3),
  at = 0,
): Pixels {
  const columns = taps(from, width, kernel);
  let to = at;
  for (let y = 0; y < height; y++) {
    for (const { first, shares } of columns) to = weigh(data, (y * from + first) * 3, 3, shares, out, to);
  }
  return { width, height, data: out };
}

/** (H, W, 3) -> (height, W, 3) */
function resizeRows(
  { width, height: from, data }: Pixels,
  height: number,
  kernel: Kernel,
  out: Uint8Array = new Uint8Array(height * width * 3),
  at = 0,
): Pixels {
  let to = at;
  for (const { first, shares } of taps(from, height, kernel)) {
    for (let x = 0; x < width; x++) to = weigh(data, (first * width + x) * 3, width * 3, shares, out, to);
  }
  return { width, height, data: out };
}

/** One pixel from those at `from`, `from + stride`, ...; returns where the next one goes. */
function weigh(
  data: Uint8Array,
  from: number,
  stride: number,
  shares: Int32Array,
  out: Uint8Array,
  to: number,
): number {
  let [red, green, blue] = [1 << (bits - 1), 1 << (bits - 1), 1 << (bits - 1)];
  for (let k = 0, place = from; k < shares.length; k++, place += stride) {
    const share = shares[k]!;
    red += share * data[place]!;
    green += share * data[place + 1]!;
    blue += share * data[place + 2]!;
  }
  out[to] = clipped(red);
  out[to + 1] = clipped(green);
  out[to + 2] = clipped(blue);
  return to + 3;
}

/** Rounded shares may add up to a little more than 1, and bicubic ones are negative in part. */
const clipped = (sum: number) => Math.max(0, Math.min(sum >> bits, 255));

/** How much a pixel counts that is so many pixels away, as in Pillow's Resample.c; nothing beyond `radius`. */
const kernels = {
  bilinear: { radius: 1, share: (x: number) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { radius: 2, share: bicubic },
  box: { radius: 0.5, share: (x: number) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  hamming: { radius: 1, share: hamming },
  lanczos: { radius: 3, share: (x: number) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};
export type Kernel = keyof typeof kernels;

/** Keys' kernel with a = -0.5. */
function bicubic(away: number): number {
  const [a, x] = [-0.5, Math.abs(away)];
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function hamming(away: number): number {
  const x = Math.abs(away);
  if (x === 0) return 1;
  return x >= 1 ? 0 : (Math.sin(x * Math.PI) / (x * Math.PI)) * (0.54 + 0.46 * Math.cos(x * Math.PI));
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));

function taps(from: number, to: number, kernel: Kernel): Taps[] {
  const scale = from / to;
  const stretched = Math.max(scale, 1);
  const { radius, share } = kernels[kernel];
  const reach = radius * stretched;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const shares = Array.from({ length: end - first }, (_, k) => share((k + first - centre + 0.5) / stretched));
    const sum = shares.reduce((a, b) => a + b, 0);
    const fixed = (value: number) => Math.trunc((value < 0 ? -0.5 : 0.5) + value * 2 ** bits);
    return { first, shares: Int32Array.from(shares, (value) => fixed(value / sum)) };
  });
}
