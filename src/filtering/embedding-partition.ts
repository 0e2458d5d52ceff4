import type { Comparing } from '../packing/compare.ts';
import type { Edge } from '../packing/edges.ts';

/** What stands before the numbers of an example: its cluster and its global number. */
const headBytes = 8;

/** Rows of a cluster that others are compared with, the first ones: 30 ms an example of width 768. */
const mostOfCluster = 20_000;

export interface PlacedRow {
  readonly cluster: number;
  readonly id: number;
  /** (E) bfloat16, as two bytes each. */
  readonly row: Uint8Array;
}

/** Rows of a shard, cut by the partition that compares their clusters: as `hashFile` has it, so that each is read by one range. */
export function rowFile(rows: readonly PlacedRow[], partitions: number, clusters: number): Buffer {
  const sections: Buffer[][] = Array.from({ length: partitions }, () => []);
  for (const { cluster, id, row } of rows) {
    const head = Buffer.alloc(headBytes);
    head.writeUInt32LE(cluster, 0);
    head.writeUInt32LE(id, 4);
    sections[Math.floor((cluster * partitions) / clusters)]!.push(head, Buffer.from(row));
  }
  const index = Buffer.alloc(4 * (partitions + 1));
  let at = index.length;
  for (const [k, section] of sections.entries()) {
    index.writeUInt32LE(at, 4 * k);
    at += section.reduce((sum, { length }) => sum + length, 0);
  }
  index.writeUInt32LE(at, 4 * partitions);
  return Buffer.concat([index, ...sections.flat()]);
}

interface Cluster {
  /** Of the rows that are held. */
  readonly ids: number[];
  rows: Uint16Array[];
  /** The same rows as numbers, in the place of `rows`: from when more come than are held. */
  full: Float32Array | null;
  /** Duplicates among those that came then. */
  readonly late: Edge[];
}

/**
 * The clusters of one partition: some 100,000 rows, 150 MB of width 768. An example goes where one before it in its cluster
 * has a cosine of at least `bound` to it, whatever becomes of that one. Of a cluster that has far more examples than others,
 * such as one picture a million times, only the rows that others are compared with are held: 60 MB of width 768.
 */
export class EmbeddingPartition implements Comparing {
  readonly #width: number;
  readonly #bound: number;
  readonly #turn: () => Promise<void>;
  readonly #most: number;
  /** Examples that were not compared with all that came before them in their cluster. */
  crowded = 0;
  /** Rows in memory. */
  held = 0;
  readonly #clusters = new Map<number, Cluster>();

  /** `most`: rows of a cluster that others are compared with. */
  constructor(width: number, bound: number, turn: () => Promise<void> = async () => {}, most = mostOfCluster) {
    this.#width = width;
    this.#bound = bound;
    this.#turn = turn;
    this.#most = most;
  }

  async add(section: Buffer): Promise<void> {
    const bytes = headBytes + 2 * this.#width;
    for (let at = 0; at < section.length; at += bytes) {
      const number = section.readUInt32LE(at);
      const cluster = this.#clusters.get(number) ?? { ids: [], rows: [], full: null, late: [] };
      this.#clusters.set(number, cluster);
      const id = section.readUInt32LE(at + 4);
      const row = Uint16Array.from({ length: this.#width }, (_, i) => section.readUInt16LE(at + headBytes + 2 * i));
      if (cluster.ids.length < this.#most) {
        cluster.ids.push(id);
        cluster.rows.push(row);
        this.held++;
        continue;
      }
      this.crowded++;
      cluster.full ??= this.#numbers(cluster.rows);
      cluster.rows = [];
      const keeper = this.#first(cluster.full, this.#most, unit(row));
      if (keeper >= 0) cluster.late.push({ id, keeper: cluster.ids[keeper]!, flags: 0 });
      await this.#turn();
    }
  }

  async found(): Promise<Edge[]> {
    const edges: Edge[] = [];
    const width = this.#width;
    for (const { ids, rows, full, late } of this.#clusters.values()) {
      const all = full ?? this.#numbers(rows);
      for (let i = 1; i < ids.length; i++) {
        const keeper = this.#first(all, i, all.subarray(i * width, (i + 1) * width));
        if (keeper >= 0) edges.push({ id: ids[i]!, keeper: ids[keeper]!, flags: 0 });
        await this.#turn();
      }
      for (const edge of late) edges.push(edge);
    }
    return edges;
  }

  #numbers(rows: readonly Uint16Array[]): Float32Array {
    const all = new Float32Array(rows.length * this.#width);
    for (const [i, row] of rows.entries()) all.set(unit(row), i * this.#width);
    return all;
  }

  /** The first of `count` rows that is near to one; -1 where none is. */
  #first(all: Float32Array, count: number, own: Float32Array): number {
    const width = this.#width;
    for (let j = 0; j < count; j++) {
      const other = j * width;
      // Four sums at a time: each addition alone waits for the one before.
      let [a, b, c, d] = [0, 0, 0, 0];
      let at = 0;
      for (; at + 3 < width; at += 4) {
        a += own[at]! * all[other + at]!;
        b += own[at + 1]! * all[other + at + 1]!;
        c += own[at + 2]! * all[other + at + 2]!;
        d += own[at + 3]! * all[other + at + 3]!;
      }
      for (; at < width; at++) a += own[at]! * all[other + at]!;
      if (a + b + c + d >= this.#bound) return j;
    }
    return -1;
  }
}

/** A row of bfloat16 as numbers of length 1: rounding has changed it a little. */
function unit(row: Uint16Array): Float32Array {
  const bits = Uint32Array.from(row, (half) => half << 16);
  const values = new Float32Array(bits.buffer);
  const norm = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0)) || 1;
  return values.map((value) => value / norm);
}
