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

/**
 * The clusters of one partition: some 100,000 rows, 150 MB of width 768. An example goes where one before it in its cluster
 * has a cosine of at least `bound` to it, whatever becomes of that one.
 */
export class EmbeddingPartition implements Comparing {
  readonly #width: number;
  readonly #bound: number;
  readonly #turn: () => Promise<void>;
  /** Examples that were not compared with all that came before them in their cluster. */
  crowded = 0;
  readonly #clusters = new Map<number, { readonly ids: number[]; readonly rows: Uint16Array[] }>();

  constructor(width: number, bound: number, turn: () => Promise<void> = async () => {}) {
    this.#width = width;
    this.#bound = bound;
    this.#turn = turn;
  }

  add(section: Buffer): void {
    const bytes = headBytes + 2 * this.#width;
    for (let at = 0; at < section.length; at += bytes) {
      const cluster = section.readUInt32LE(at);
      const known = this.#clusters.get(cluster) ?? { ids: [], rows: [] };
      this.#clusters.set(cluster, known);
      known.ids.push(section.readUInt32LE(at + 4));
      known.rows.push(
        Uint16Array.from({ length: this.#width }, (_, i) => section.readUInt16LE(at + headBytes + 2 * i)),
      );
    }
  }

  async found(): Promise<Edge[]> {
    const edges: Edge[] = [];
    for (const { ids, rows } of this.#clusters.values()) {
      this.crowded += Math.max(0, ids.length - mostOfCluster);
      const width = this.#width;
      const all = new Float32Array(ids.length * width);
      for (const [i, row] of rows.entries()) all.set(unit(row), i * width);
      for (let i = 1; i < ids.length; i++) {
        const keeper = this.#before(all, i);
        if (keeper >= 0) edges.push({ id: ids[i]!, keeper: ids[keeper]!, flags: 0 });
        await this.#turn();
      }
    }
    return edges;
  }

  /** The first row that is near row i; -1 where none before it is. */
  #before(all: Float32Array, i: number): number {
    const width = this.#width;
    const own = i * width;
    for (let j = 0; j < Math.min(i, mostOfCluster); j++) {
      const other = j * width;
      // Four sums at a time: each addition alone waits for the one before.
      let [a, b, c, d] = [0, 0, 0, 0];
      let at = 0;
      for (; at + 3 < width; at += 4) {
        a += all[own + at]! * all[other + at]!;
        b += all[own + at + 1]! * all[other + at + 1]!;
        c += all[own + at + 2]! * all[other + at + 2]!;
        d += all[own + at + 3]! * all[other + at + 3]!;
      }
      for (; at < width; at++) a += all[own + at]! * all[other + at]!;
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
