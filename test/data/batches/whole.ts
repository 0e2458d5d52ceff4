import { type BatchOptions, openBatches } from '../../../src/data/batches/batches.ts';
import { KeptBatch } from '../../../src/data/batches/kept-batch.ts';
import { PieceStore } from '../../../src/data/batches/piece-store.ts';
import type { Batch, BatchRows } from '../../../src/data/batches/types.ts';

/** All of a batch in memory, as `BatchMaker.make` gives it. */
export async function whole(batch: BatchRows): Promise<Batch> {
  const { images, tokens, ...parts } = await batch.rows(0, batch.count);
  const { length } = batch;
  return {
    ...(await batch.facts()),
    ...(length !== undefined && { length }),
    ...{ images: images as Uint8Array, tokens: tokens as Int32Array, parts },
  };
}

/** A batch in memory as the trainer takes it; it has `count` rows. */
export async function inRows(batch: Batch, count: number, store = new PieceStore()): Promise<KeptBatch> {
  const kept = new KeptBatch({ ...batch, of: count }, store, { receive: () => Promise.resolve(), released() {} });
  await kept.add({ ...batch, first: 0, count, of: count });
  return kept;
}

/** The batch of these rows, copied one after another. */
export function chosen(batch: Batch, picks: readonly number[], count: number): Batch {
  const rows = <T extends Uint8Array | Int32Array | Float32Array>(all: T): T => {
    const size = all.length / count;
    const values = picks.flatMap((row) => [...all.subarray(row * size, (row + 1) * size)]);
    return new (all.constructor as new (values: readonly number[]) => T)(values);
  };
  const parts = Object.fromEntries(Object.entries(batch.parts).map(([name, all]) => [name, rows(all)]));
  return { ...batch, images: rows(batch.images), tokens: rows(batch.tokens), parts };
}

/** So many batches of a loader that is opened for them, each whole. */
export async function taken(count: number, options: BatchOptions): Promise<Batch[]> {
  const source = openBatches(options);
  try {
    const batches: Batch[] = [];
    for (let i = 0; i < count; i++) batches.push(await whole(await source.next()));
    return batches;
  } finally {
    await source.close();
  }
}
