import { scratch } from './scratch.ts';
import { type Simd, simd } from './simd/memory.ts';

const lineOf = scratch(Float32Array, 4);
const rowsOf = scratch(Float32Array, 4);
const sumsOf = scratch(Float64Array, 8);

/**
 * Gaussian blur of (height, width, 3) bytes, edges repeated, one side after the other in float32: the kernel that
 * Pillow's three box blurs approximate, cut at three deviations.
 */
export function gaussianBlur(pixels: Uint8Array, width: number, height: number, sigma: number): void {
  const radius = Math.max(1, Math.ceil(3 * sigma));
  const kernel = Float32Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)),
  );
  const sum = kernel.reduce((a, b) => a + b);
  for (let i = 0; i < kernel.length; i++) kernel[i]! /= sum;
  const shares = Float64Array.from(kernel);
  const vectors = simd();
  if (vectors !== null && blurByVectors(vectors, pixels, width, height, shares)) return;
  const rows = rowsOf(pixels.length);
  blurColumns(pixels, rows, width, height, shares);
  blurRows(rows, pixels, width, height, shares);
}

/** As the plain loops, by vectors; false where there is no room. */
function blurByVectors(at: Simd, pixels: Uint8Array, width: number, height: number, shares: Float64Array): boolean {
  const line = width * 3;
  const radius = (shares.length - 1) / 2;
  const edge = radius * 3;
  const size = height * line;
  // Bytes come last: eight doubles at a time are read beyond the others.
  const places = at.places(shares.length * 8, (line + 2 * edge) * 8, (height + 2 * radius) * line * 8, size);
  if (places === null) return false;
  const [sharesAt, paddedAt, rowsAt, bytesAt] = places;
  at.doubles(sharesAt, shares.length).set(shares);
  const last = sharesAt + 8 * shares.length;
  at.bytes(bytesAt, size).set(pixels);
  const padded = at.doubles(paddedAt, line + 2 * edge);
  for (let y = 0; y < height; y++) {
    at.run.widen(bytesAt + y * line, paddedAt + edge * 8, line * 8);
    for (let i = 0; i < edge; i++) {
      padded[i] = padded[edge + (i % 3)]!;
      padded[edge + line + i] = padded[edge + line - 3 + (i % 3)]!;
    }
    at.run.weighDoubles(paddedAt, 24, rowsAt + (radius + y) * line * 8, line * 8, sharesAt, last);
  }
  const rows = at.doubles(rowsAt, (height + 2 * radius) * line);
  for (let y = 0; y < radius; y++) {
    rows.copyWithin(y * line, radius * line, (radius + 1) * line);
    rows.copyWithin((radius + height + y) * line, (radius + height - 1) * line, (radius + height) * line);
  }
  for (let y = 0; y < height; y++)
    at.run.weighToBytes(rowsAt + y * line * 8, line * 8, bytesAt + y * line, line * 8, sharesAt, last);
  pixels.set(at.bytes(bytesAt, size));
  return true;
}

/** A line of bytes, with its first and its last pixel repeated. */
function layPadded(from: Uint8Array, start: number, line: number, edge: number, to: Float32Array): void {
  for (let i = 0; i < line; i++) to[edge + i] = from[start + i]!;
  for (let i = 0; i < edge; i++) {
    to[i] = from[start + (i % 3)]!;
    to[edge + line + i] = from[start + line - 3 + (i % 3)]!;
  }
}

/** Each line by itself, laid out with its edges repeated. */
function blurColumns(from: Uint8Array, to: Float32Array, width: number, height: number, shares: Float64Array): void {
  const line = width * 3;
  const edge = ((shares.length - 1) / 2) * 3;
  const padded = lineOf(line + 2 * edge);
  const sums = sumsOf(line);
  for (let y = 0; y < height; y++) {
    const start = y * line;
    layPadded(from, start, line, edge, padded);
    weigh(padded, shares, sums, line, (k) => 3 * k);
    for (let i = 0; i < line; i++) to[start + i] = sums[i]!;
  }
}

/** Along the lines. */
function blurRows(from: Float32Array, to: Uint8Array, width: number, height: number, shares: Float64Array): void {
  const edge = (shares.length - 1) / 2;
  const line = width * 3;
  const sums = sumsOf(line);
  for (let y = 0; y < height; y++) {
    weigh(from, shares, sums, line, (k) => Math.min(height - 1, Math.max(0, y + k - edge)) * line);
    // As Math.round, since none is negative.
    for (let i = 0; i < line; i++) to[y * line + i] = Math.fround(sums[i]!) + 0.5;
  }
}

/** Adds up what lies at `start(k)` of `from` by the shares, from the first on: in another order the last bit would move. */
function weigh(
  from: Float32Array,
  shares: Float64Array,
  sums: Float64Array,
  line: number,
  start: (k: number) => number,
): void {
  sums.fill(0);
  let k = 0;
  for (; k + 3 < shares.length; k += 4) {
    const [s0, s1, s2, s3] = [shares[k]!, shares[k + 1]!, shares[k + 2]!, shares[k + 3]!];
    const [a, b, c, d] = [start(k), start(k + 1), start(k + 2), start(k + 3)];
    for (let i = 0; i < line; i++)
      sums[i] = sums[i]! + s0 * from[a + i]! + s1 * from[b + i]! + s2 * from[c + i]! + s3 * from[d + i]!;
  }
  for (; k < shares.length; k++) {
    const [share, at] = [shares[k]!, start(k)];
    for (let i = 0; i < line; i++) sums[i]! += share * from[at + i]!;
  }
}
