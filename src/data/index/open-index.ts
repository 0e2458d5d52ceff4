import type { ShardStore } from './part-reader.ts';
import type { DataIndex, ExampleEntry, ShardEntries, ShardFacts, ShardIndex, StoredIndex } from './types.ts';

/** An index to be worked with. `store`: where the entries of shards lie that are not in the document itself. */
export function openIndex(document: StoredIndex, _store: ShardStore): DataIndex {
  const { prefix, fingerprint, examples, corrupt, read } = document;
  const corruptIn = new Map<string, number>();
  for (const { shard } of corrupt) corruptIn.set(shard, (corruptIn.get(shard) ?? 0) + 1);
  const shards = document.shards.map(({ examples: { length }, ...shard }): ShardFacts => {
    return { ...shard, examples: length, corrupt: corruptIn.get(shard.key) ?? 0 };
  });
  const entriesOf = async (shard: number) => {
    const { examples: own } = document.shards[shard]!;
    return { length: own.length, at: (i: number) => own[i]! };
  };
  return { prefix, fingerprint, examples, shards, corrupt, ...(read && { read }), document, entriesOf };
}

/** One entry after the other. */
export function* each(entries: ShardEntries): Generator<ExampleEntry> {
  for (let i = 0; i < entries.length; i++) yield entries.at(i);
}

/** A shard with all its entries beside it. */
export async function inlineShard(index: DataIndex, shard: number): Promise<ShardIndex> {
  const { corrupt: _, examples: __, ...of } = index.shards[shard]!;
  return { ...of, examples: [...each(await index.entriesOf(shard))] };
}

/** Members of all shards that can't be used. */
export const corruptIn = ({ shards }: Pick<DataIndex, 'shards'>): number =>
  shards.reduce((sum, { corrupt }) => sum + corrupt, 0);
