/** That a picture is one that came before, its keeper. */
export interface Edge {
  readonly id: number;
  readonly keeper: number;
  /** `isExact`, `hasTexts`. */
  readonly flags: number;
}

/** Their pixels are equal. */
export const isExact = 1;
/** It has texts that its keeper does not have. */
export const hasTexts = 2;

export const edgeBytes = 12;

/** Parts that duplicates are settled of at a time: 2.6 million pictures of 10,000 a part. */
export const windowParts = 256;

/**
 * Edges by the window of the picture that goes: where each window begins (u32, one more than there are), and the edges in
 * the order of their pictures.
 */
export function edgeFile(edges: Edge[], counts: readonly number[]): Buffer {
  edges.sort((a, b) => a.id - b.id || a.keeper - b.keeper);
  const ends = windowStarts(counts);
  const index = Buffer.alloc(4 * ends.length);
  const records = Buffer.alloc(edgeBytes * edges.length);
  let window = 0;
  for (const [i, { id, keeper, flags }] of edges.entries()) {
    while (id >= ends[window]!) index.writeUInt32LE(index.length + edgeBytes * i, 4 * window++);
    records.writeUInt32LE(id, edgeBytes * i);
    records.writeUInt32LE(keeper, edgeBytes * i + 4);
    records.writeUInt32LE(flags, edgeBytes * i + 8);
  }
  while (window < ends.length) index.writeUInt32LE(index.length + records.length, 4 * window++);
  return Buffer.concat([index, records]);
}

/** The first number of each window of parts, and the one behind the last. */
export function windowStarts(counts: readonly number[]): number[] {
  const starts: number[] = [];
  let at = 0;
  for (const [part, count] of counts.entries()) {
    if (part % windowParts === 0) starts.push(at);
    at += count;
  }
  return [...starts, at];
}
