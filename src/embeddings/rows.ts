import { type Matrix, rowCount } from '../evaluate/numbers/matrix.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type Embeddings, partsOf } from './manifest.ts';
import { StoredPart } from './stored-part.ts';

/** What a row is of. */
export interface RowKey {
  readonly shard: string;
  /** Of the example in its shard. */
  readonly name: string;
  /** Of a text: its language, and which of the captions of its picture it is, from 0 on. */
  readonly language?: string;
  readonly caption?: number;
}

/** Some rows one after another. */
export interface RowBlock extends Matrix {
  /** Of a row: its width, of patches their number and their width. */
  readonly shape: readonly number[];
  /** 0 <= i < rows of the block. */
  keyOf(i: number): RowKey;
}

/** Of all rows of a block. */
export const keysOf = (block: RowBlock): RowKey[] => Array.from({ length: rowCount(block) }, (_, i) => block.keyOf(i));

/** Bytes of a block of rows: 8 MB whatever the whole is, and at least one row. */
const blockBytes = 8 * 1024 ** 2;

export type RowKind = 'images' | 'patches' | 'texts';

/** All rows of a kind in the order of the data, texts of a picture by language and number; a block is in memory at a time. */
export async function* blocksOf(store: ObjectStore, embeddings: Embeddings, kind: RowKind): AsyncGenerator<RowBlock> {
  for await (const entry of partsOf(store, embeddings)) {
    const part = await StoredPart.open(store, entry);
    if (kind === 'texts') yield* textBlocks(part, embeddings);
    else yield* blocks(part, embeddings.tensors[kind]!, (row) => pictureOf(part, row));
  }
}

async function* textBlocks(part: StoredPart, { tensors }: Embeddings): AsyncGenerator<RowBlock> {
  for (const [language, { rows, of }] of Object.entries(tensors.texts)) {
    const pictures = await part.integers(of);
    yield* blocks(part, rows, (row) => {
      const picture = pictures[row]!;
      let first = row;
      while (first > 0 && pictures[first - 1] === picture) first--;
      return { ...pictureOf(part, picture), language, caption: row - first };
    });
  }
}

async function* blocks(part: StoredPart, tensor: string, keyOf: (row: number) => RowKey): AsyncGenerator<RowBlock> {
  const [all = 0, ...shape] = part.shape(tensor);
  const bytes = 4 * shape.reduce((product, size) => product * size, 1);
  const block = Math.max(1, Math.floor(blockBytes / bytes));
  for (let from = 0; from < all; from += block) {
    const matrix = await part.rows(tensor, from, Math.min(all, from + block));
    yield { ...matrix, shape, keyOf: (i) => keyOf(from + i) };
  }
}

function pictureOf(part: StoredPart, row: number): RowKey {
  const { shard, name } = part.examples[row]!;
  return { shard, name };
}
