import { randomStream } from '../runtime/random.ts';

/** Numbers that clusters are told apart by: a random projection keeps cosines to some hundredths (Johnson and Lindenstrauss). */
export const projectedWidth = 64;
/** Rows that clusters are learned from: 128 MB. */
export const mostSampled = 2 ** 19;
/** Examples of a cluster, in the mean, as long as there are rows enough to learn it from. */
const examplesOfCluster = 1000;
const rowsOfCluster = 16;
const rounds = 8;

/** Centroids of length 1: `tops` coarse ones, and as many finer ones within each. */
export interface Clusters {
  readonly tops: number;
  readonly leaves: number;
  /** (tops, 64), then (tops * leaves, 64). */
  readonly coarse: Float32Array;
  readonly fine: Float32Array;
}

/** Rows (n, E) in fewer numbers (n, 64), each of length 1: by signs that are drawn once for a width. */
export function projected(rows: Float32Array, width: number): Float32Array {
  const count = rows.length / width;
  const random = randomStream(0, 'filter/projection', width);
  const signs = Float32Array.from({ length: width * projectedWidth }, () => (random.next() < 0.5 ? -1 : 1));
  const out = new Float32Array(count * projectedWidth);
  const sums = new Float64Array(projectedWidth);
  for (let i = 0; i < count; i++) {
    sums.fill(0);
    for (let from = 0; from < width; from++) {
      const value = rows[i * width + from]!;
      for (let to = 0; to < projectedWidth; to++) sums[to]! += value * signs[from * projectedWidth + to]!;
    }
    const norm = Math.sqrt(sums.reduce((sum, value) => sum + value ** 2, 0)) || 1;
    for (let to = 0; to < projectedWidth; to++) out[i * projectedWidth + to] = sums[to]! / norm;
  }
  return out;
}

/** Numbers of the rows of a shard that clusters are learned from: evenly spread over all examples. */
export function sampledOf(first: number, count: number, examples: number): number[] {
  const sampled = Math.min(examples, mostSampled);
  const rows: number[] = [];
  for (let k = Math.ceil((first * sampled) / examples); ; k++) {
    const at = Math.floor((k * examples) / sampled);
    if (k >= sampled || at >= first + count) return rows;
    if (at >= first) rows.push(at - first);
  }
}

/**
 * Spherical k-means in two levels, so that an example is compared with some hundreds of centroids and not with all: learned from
 * rows of `projected`, for `examples` examples. A pure function: sums are in the order of the rows.
 */
export async function learnClusters(
  rows: Float32Array,
  examples: number,
  turn: () => Promise<void> = async () => {},
): Promise<Clusters> {
  const count = rows.length / projectedWidth;
  const wanted = Math.max(1, Math.min(Math.ceil(examples / examplesOfCluster), Math.floor(count / rowsOfCluster)));
  const tops = Math.max(1, Math.round(Math.sqrt(wanted)));
  const leaves = Math.max(1, Math.ceil(wanted / tops));
  const every = Array.from({ length: count }, (_, i) => i);
  const coarse = await kMeans(rows, every, tops, turn);
  const own: number[][] = Array.from({ length: tops }, () => []);
  for (const i of every) own[nearest(coarse, 0, tops, rows, i)]!.push(i);
  const fine = new Float32Array(tops * leaves * projectedWidth);
  for (const [top, members] of own.entries())
    fine.set(await kMeans(rows, members, leaves, turn), top * leaves * projectedWidth);
  return { tops, leaves, coarse, fine };
}

/** The cluster of row i. */
export function clusterOf({ tops, leaves, coarse, fine }: Clusters, rows: Float32Array, i: number): number {
  const top = nearest(coarse, 0, tops, rows, i);
  return top * leaves + nearest(fine, top * leaves, leaves, rows, i);
}

async function kMeans(
  rows: Float32Array,
  members: readonly number[],
  k: number,
  turn: () => Promise<void>,
): Promise<Float32Array> {
  const centroids = new Float32Array(k * projectedWidth);
  if (members.length === 0) return centroids;
  for (let c = 0; c < k; c++) {
    const from = members[Math.floor((c * members.length) / k)]! * projectedWidth;
    centroids.set(rows.subarray(from, from + projectedWidth), c * projectedWidth);
  }
  for (let round = 0; round < rounds; round++) {
    const sums = new Float64Array(k * projectedWidth);
    for (const i of members) {
      const to = nearest(centroids, 0, k, rows, i) * projectedWidth;
      const from = i * projectedWidth;
      for (let at = 0; at < projectedWidth; at++) sums[to + at]! += rows[from + at]!;
      await turn();
    }
    for (let c = 0; c < k; c++) {
      const sum = sums.subarray(c * projectedWidth, (c + 1) * projectedWidth);
      const norm = Math.sqrt(sum.reduce((total, value) => total + value ** 2, 0));
      // One that nothing is near to stays where it is.
      if (norm > 0) for (let at = 0; at < projectedWidth; at++) centroids[c * projectedWidth + at] = sum[at]! / norm;
    }
  }
  return centroids;
}

/** Of `count` centroids from `first` on the one with the highest cosine to row i, of equals the first. */
function nearest(centroids: Float32Array, first: number, count: number, rows: Float32Array, i: number): number {
  const row = i * projectedWidth;
  let [best, found] = [Number.NEGATIVE_INFINITY, 0];
  for (let c = 0; c < count; c++) {
    const from = (first + c) * projectedWidth;
    let sum = 0;
    for (let at = 0; at < projectedWidth; at++) sum += centroids[from + at]! * rows[row + at]!;
    if (sum > best) [best, found] = [sum, c];
  }
  return found;
}
