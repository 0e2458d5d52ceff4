import { z } from 'zod';
import { parseWith, readDocument } from '../../checkpoint/documents.ts';
import { runPrefix } from '../../checkpoint/keys.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';

/** Shards that phases of a run train on. */
export interface TrainedData {
  readonly bytes: number;
  readonly examples: number;
}

/** Of an index, in each form that there has been, what its size follows from. */
const plain = z.object({
  fingerprint: z.string(),
  examples: z.int().min(0),
  shards: z.array(z.object({ bytes: z.int().min(0) })),
});
const mixed = plain.omit({ shards: true }).extend({ mixture: z.array(z.object({ index: plain })) });
const index = z.union([plain, mixed]);

/** Indexes that are larger are not read for a figure: of 100,000 shards they are 30 MB, and the reader of documents refuses them. */
const mostIndexes = 100;

/** The data of a run by fingerprint, as a manifest names them. What can't be read is left out. */
export async function trainedData(
  store: ObjectStore,
  run: string,
  objects: readonly ObjectInfo[],
): Promise<ReadonlyMap<string, TrainedData>> {
  const prefix = `${runPrefix(run)}data/train-index-`;
  const found = new Map<string, TrainedData>();
  for (const { key } of objects.filter(({ key }) => key.startsWith(prefix)).slice(0, mostIndexes)) {
    const document = await readDocument(store, key);
    const { value } = document && 'bytes' in document ? parseWith(index, document.bytes) : {};
    if (!value) continue;
    const shards = 'shards' in value ? value.shards : value.mixture.flatMap((source) => source.index.shards);
    found.set(value.fingerprint, {
      bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
      examples: value.examples,
    });
  }
  return found;
}
