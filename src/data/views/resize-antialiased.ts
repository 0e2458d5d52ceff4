import type { Pixels } from '../example/pixels.ts';
import type { PixelBox } from './random-crop.ts';
import { scratch } from './scratch.ts';
import { layTable } from './simd/lay-taps.ts';
import { type Simd, simd } from './simd/memory.ts';
import { type Kernel, mirrored, shareBits, type Taps, tapsOf } from './taps.ts';

export type { Kernel };

/** Bytes of a picture that lie line by line, `line` bytes apart. */
interface Lines {
  readonly data: Uint8Array;
  readonly at: number;
  readonly line: number;
}

const between = scratch(Uint8Array, 1);
const sums = scratch(Int32Array, 4);

/**
 * Resizes to (height, width, 3) as Pillow does with BILINEAR, and so transformers' image processors, or with BICUBIC: a
 * kernel that widens when the image shrinks, one side after the other, bytes in between, in fixed point. The same
 * bytes as Pillow 13's (src/libImaging/Resample.c). Writes to `out` at `at`. With `box` that part alone is the image: what
 * lies around it counts for nothing, as if it had been cut out. `flipped`: left and right are exchanged.
 */
export function resizeAntialiased(
  image: Pixels,
  width: number,
  height: number,
  out: Uint8Array,
  at = 0,
  kernel: Kernel = 'bilinear',
  box: PixelBox = { left: 0, top: 0, width: image.width, height: image.height },
  flipped = false,
): void {
  const from: Lines = { data: bytesOf(image.data), at: (box.top * image.width + box.left) * 3, line: image.width * 3 };
  const to: Lines = { data: bytesOf(out), at, line: width * 3 };
  const straight = tapsOf(box.width, width, kernel);
  const columns = flipped ? mirrored(straight) : straight;
  const rows = tapsOf(box.height, height, kernel);
  // As Pillow 13 was seen to choose; before it columns were always first, which moves bytes by 1 at most.
  const rowsFirst = height < box.height && box.height - height > 2 * (box.width - width);
  const resize = rowsFirst ? rowsThenColumns : columnsThenRows;
  const vectors = simd();
  // The lines of a small part are copied one by one.
  const isMost = 2 * box.width * box.height > image.width * image.height;
  const byVectors = (at: Simd) => resize(at, from, to, columns, rows, box);
  if (vectors !== null && (isMost ? vectors.holding(from.data, () => byVectors(vectors)) : byVectors(vectors))) return;
  if (rowsFirst) {
    const half: Lines = { data: between(height * box.width * 3), at: 0, line: box.width * 3 };
    resizeRows(from, half, rows);
    resizeColumns(half, to, columns, height);
  } else {
    const half: Lines = { data: between(box.height * width * 3), at: 0, line: width * 3 };
    resizeColumns(from, half, columns, box.height);
    resizeRows(half, to, rows);
  }
}

/** A pixel is written with the byte after it. */
const padded = (width: number) => width * 3 + 1;

/** As the plain loops, by vectors; false where there is no room. */
function columnsThenRows(at: Simd, from: Lines, to: Lines, columns: Taps, rows: Taps, box: PixelBox): boolean {
  const [width, height] = [columns.first.length, rows.first.length];
  const line = padded(width);
  const source = padded(box.width);
  const places = at.places(
    8 * width,
    columns.shares.length * 4,
    rows.shares.length * 4,
    2 * source,
    box.height * line,
    height * line,
  );
  if (places === null) return false;
  const [table, columnShares, rowShares, lines, half, done] = places;
  layTable(at, table, columnShares, columns);
  at.ints(rowShares, rows.shares.length).set(rows.shares);
  const held = at.placeOf(from.data);
  const two = at.bytes(lines, 2 * source);
  for (let y = 0; y < box.height; y += 2) {
    const both = y + 1 < box.height;
    let [first, next] = [lines, source];
    if (held !== null) [first, next] = [held + from.at + y * from.line, from.line];
    else
      for (let k = 0; k < (both ? 2 : 1); k++) {
        const start = from.at + (y + k) * from.line;
        two.set(from.data.subarray(start, start + box.width * 3), k * source);
      }
    resizeLines(at, first, both ? next : 0, half + y * line, both ? line : 0, table, columnShares, columns);
  }
  weighAll(at, half, line, done, line, rowShares, rows);
  copyOut(at, done, line, to, height);
  return true;
}

function rowsThenColumns(at: Simd, from: Lines, to: Lines, columns: Taps, rows: Taps, box: PixelBox): boolean {
  const [width, height] = [columns.first.length, rows.first.length];
  const line = padded(width);
  const source = box.width * 3;
  const held = at.placeOf(from.data);
  const places = at.places(
    8 * width,
    columns.shares.length * 4,
    rows.shares.length * 4,
    held === null ? box.height * source : 0,
    height * source,
    height * line,
  );
  if (places === null) return false;
  const [table, columnShares, rowShares, lines, half, done] = places;
  layTable(at, table, columnShares, columns);
  at.ints(rowShares, rows.shares.length).set(rows.shares);
  if (held !== null) weighAll(at, held + from.at, from.line, half, source, rowShares, rows);
  else {
    const all = at.bytes(lines, box.height * source);
    for (let y = 0; y < box.height; y++) {
      const start = from.at + y * from.line;
      all.set(from.data.subarray(start, start + source), y * source);
    }
    weighAll(at, lines, source, half, source, rowShares, rows);
  }
  for (let y = 0; y < height; y += 2) {
    const both = y + 1 < height;
    resizeLines(
      at,
      half + y * source,
      both ? source : 0,
      done + y * line,
      both ? line : 0,
      table,
      columnShares,
      columns,
    );
  }
  copyOut(at, done, line, to, height);
  return true;
}

function resizeLines(
  { run }: Simd,
  from: number,
  next: number,
  to: number,
  below: number,
  table: number,
  columnShares: number,
  { first, reach }: Taps,
): void {
  run.resizeLine(from, next, to, below, 8 * first.length, table, columnShares, 4 * reach);
}

function weighAll(
  { run }: Simd,
  from: number,
  stride: number,
  to: number,
  line: number,
  rowShares: number,
  { first, count, reach }: Taps,
): void {
  for (let y = 0; y < first.length; y++) {
    const shares = rowShares + 4 * y * reach;
    run.weighLines(from + first[y]! * stride, stride, to + y * line, line, shares, shares + 4 * count[y]!);
  }
}

function copyOut(at: Simd, done: number, line: number, to: Lines, height: number): void {
  const all = at.bytes(done, height * line);
  for (let y = 0; y < height; y++) to.data.set(all.subarray(y * line, y * line + to.line), to.at + y * to.line);
}

/** No Buffer: V8 is slow where an array is now one, now the other. */
const bytesOf = ({ buffer, byteOffset, length }: Uint8Array) => new Uint8Array(buffer, byteOffset, length);

const round = 1 << (shareBits - 1);
/** Rounded shares may add up to a little more than 1, and bicubic ones are negative in part. */
const clamped = ({ data }: Lines) => new Uint8ClampedArray(data.buffer, data.byteOffset, data.length);

/** (H, W, 3) -> (H, width, 3): down the picture for each column that is made, by four taps at a time. */
function resizeColumns(from: Lines, to: Lines, { first, count, shares, reach }: Taps, height: number): void {
  const { data, line } = from;
  const out = clamped(to);
  const sum = sums(height * 3);
  for (let x = 0; x < first.length; x++) {
    const taps = count[x]!;
    sum.fill(round);
    for (let k = 0; k < taps; k += 4) {
      const [s0, s1, s2, s3] = four(shares, x * reach + k);
      // Shares beyond the last tap are 0: which pixel they are of is no matter.
      const [b, c, d] = [3 * Math.min(1, taps - 1 - k), 3 * Math.min(2, taps - 1 - k), 3 * Math.min(3, taps - 1 - k)];
      let p = from.at + (first[x]! + k) * 3;
      for (let i = 0; i < height * 3; i += 3, p += line) {
        const [q, r, s] = [p + b, p + c, p + d];
        const red =
          Math.imul(s0, data[p]!) + Math.imul(s1, data[q]!) + Math.imul(s2, data[r]!) + Math.imul(s3, data[s]!);
        const green =
          Math.imul(s0, data[p + 1]!) +
          Math.imul(s1, data[q + 1]!) +
          Math.imul(s2, data[r + 1]!) +
          Math.imul(s3, data[s + 1]!);
        const blue =
          Math.imul(s0, data[p + 2]!) +
          Math.imul(s1, data[q + 2]!) +
          Math.imul(s2, data[r + 2]!) +
          Math.imul(s3, data[s + 2]!);
        sum[i] = (sum[i]! + red) | 0;
        sum[i + 1] = (sum[i + 1]! + green) | 0;
        sum[i + 2] = (sum[i + 2]! + blue) | 0;
      }
    }
    let place = to.at + x * 3;
    for (let i = 0; i < height * 3; i += 3, place += to.line) {
      out[place] = sum[i]! >> shareBits;
      out[place + 1] = sum[i + 1]! >> shareBits;
      out[place + 2] = sum[i + 2]! >> shareBits;
    }
  }
}

/** (H, W, 3) -> (height, W, 3): along each line that is made, by four taps at a time. */
function resizeRows(from: Lines, to: Lines, { first, count, shares, reach }: Taps): void {
  const { data } = from;
  const out = clamped(to);
  const { line } = to;
  const sum = sums(line);
  for (let y = 0; y < first.length; y++) {
    const taps = count[y]!;
    sum.fill(round);
    for (let k = 0; k < taps; k += 4) {
      const [s0, s1, s2, s3] = four(shares, y * reach + k);
      const start = (j: number) => from.at + (first[y]! + Math.min(k + j, taps - 1)) * from.line;
      const [a, b, c, d] = [start(0), start(1), start(2), start(3)];
      for (let i = 0; i < line; i++) {
        const more =
          Math.imul(s0, data[a + i]!) +
          Math.imul(s1, data[b + i]!) +
          Math.imul(s2, data[c + i]!) +
          Math.imul(s3, data[d + i]!);
        sum[i] = (sum[i]! + more) | 0;
      }
    }
    const place = to.at + y * line;
    for (let i = 0; i < line; i++) out[place + i] = sum[i]! >> shareBits;
  }
}

const four = (shares: Int32Array, at: number) =>
  [shares[at]!, shares[at + 1]!, shares[at + 2]!, shares[at + 3]!] as const;
