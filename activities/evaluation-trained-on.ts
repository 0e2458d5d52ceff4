import { runPrefix } from '../src/checkpoint/keys.ts';
import { openIndex } from '../src/data/index/open-index.ts';
import type { DataIndex, StoredIndex } from '../src/data/index/types.ts';
import type { SetPlan } from '../src/evaluate/task-plan.ts';
import { type TrainedOn, trainedOn } from '../src/evaluate/trained-on.ts';
import { hashJson } from '../src/runtime/hash.ts';
import { jsonAt } from '../src/storage/json-at.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';

/** Data of a run are named by so many documents at most; each names its shards. */
const mostDocuments = 100;

/**
 * What of a test set is in the data that a run planned to train on; null where they are not at hand, as of an import. Kept
 * below the run, since evaluations on the way ask again and again.
 */
export async function trainedOnBy(
  store: ObjectStore,
  run: string,
  { spec }: Pick<SetPlan, 'spec'>,
  document: StoredIndex,
): Promise<TrainedOn | null> {
  const keys: string[] = [];
  for await (const { key } of store.list(`${runPrefix(run)}data/train-index-`)) {
    keys.push(key);
    if (keys.length === mostDocuments) break;
  }
  if (keys.length === 0) return null;
  const kept = `${runPrefix(run)}data/overlap-${hashJson({ keys, data: spec.data, sample: spec.sample }).slice(0, 16)}.json`;
  const before = await jsonAt(store, kept);
  if (before) return before as TrainedOn;
  const indexes: DataIndex[] = [];
  for (const key of keys) {
    const index = await jsonAt(store, key);
    if (index) indexes.push(openIndex(index as StoredIndex, store));
  }
  const found = await trainedOn(store, indexes, { index: openIndex(document, store), sample: spec.sample });
  await store.put(kept, JSON.stringify(found), { contentType: 'application/json' });
  return found;
}
