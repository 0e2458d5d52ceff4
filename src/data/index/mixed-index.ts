import { createHash } from 'node:crypto';
import type { DataIndex, IndexedSource, SpokenCounts } from './types.ts';

/** One index of several sources: their shards follow one another, and each source is read in its own way. */
export function mixedIndex(
  sources: readonly { readonly name: string; readonly index: DataIndex; readonly spoken?: SpokenCounts }[],
): DataIndex {
  const indexes = sources.map(({ index }) => index);
  const prefix = [...new Set(indexes.map((index) => index.prefix))].join(', ');
  const named = sources.map(({ name, index }) => [name, index.fingerprint]);
  const fingerprint = createHash('sha256').update(JSON.stringify(named)).digest('hex');
  const examples = indexes.reduce((sum, index) => sum + index.examples, 0);
  // A place that two sources share has its faults once.
  const corrupt = [...new Set(indexes)].flatMap((index) => index.corrupt);
  const firsts: number[] = [];
  let shards = 0;
  for (const index of indexes) {
    firsts.push(shards);
    shards += index.shards.length;
  }
  const own: IndexedSource[] = sources.map(({ name, index, spoken }, i) => {
    const how = { ...(index.read && { read: index.read }), ...(spoken && { spoken }) };
    return { name, first: firsts[i]!, shards: index.shards.length, ...how, index };
  });
  const regions = indexes.some((index) => index.regions)
    ? indexes.flatMap(({ shards, regions }) => regions ?? shards.map(() => null))
    : undefined;
  const mixture = sources.map(({ name, index, spoken }) => {
    return { name, index: index.document, ...(spoken && { spoken }) };
  });
  const weights = indexes.some((index) => index.weights)
    ? indexes.flatMap(({ shards, weights }) => weights ?? shards.map(() => null))
    : undefined;
  return {
    ...{ prefix, fingerprint, examples, corrupt },
    shards: indexes.flatMap((index) => index.shards),
    sources: own,
    ...(regions && { regions }),
    ...(weights && { weights }),
    store: indexes[0]!.store,
    document: { prefix, fingerprint, examples, corrupt, mixture },
    entriesOf: (shard) => {
      const source = firsts.findLastIndex((first) => first <= shard);
      return indexes[source]!.entriesOf(shard - firsts[source]!);
    },
  };
}

/** How the members of a shard are read; undefined: the JSON of this project. */
export const mappingOfShard = ({ read, sources }: Pick<DataIndex, 'read' | 'sources'>, shard: number) =>
  sources ? sources.findLast(({ first }) => first <= shard)?.read : read;
