import { indexKey, indexLost, memberKinds, readEntries } from './index-object.ts';
import { isAbsent, makeIndex } from './index-shard.ts';
import { LatestEntries } from './latest-entries.ts';
import { mixedIndex } from './mixed-index.ts';
import type { ShardStore } from './part-reader.ts';
import type {
  DataIndex,
  ExampleEntry,
  InlineIndex,
  ListedIndex,
  MixedDocument,
  ShardEntries,
  ShardFacts,
  ShardIndex,
  StoredIndex,
} from './types.ts';

/** An index to be worked with. `store`: where the entries lie that are not in the document itself. */
export function openIndex(document: StoredIndex, store: ShardStore): DataIndex {
  if ('mixture' in document) return openMixed(document, store);
  const { prefix, fingerprint, examples, corrupt, read, regions, weights } = document;
  const pixels = 'version' in document ? document.pixels : undefined;
  const shared = {
    prefix,
    fingerprint,
    examples,
    corrupt,
    ...(read && { read }),
    ...(pixels && { pixels }),
    ...(regions && { regions }),
    ...(weights && { weights }),
    document,
    store,
  };
  return { ...shared, ...('version' in document ? listed(document, store) : inline(document)) };
}

function openMixed({ mixture }: MixedDocument, store: ShardStore): DataIndex {
  // Sources that share a place share what is kept of it.
  const opened = new Map<string, DataIndex>();
  const sources = mixture.map(({ name, index, spoken }) => {
    const key = JSON.stringify([index.prefix, index.fingerprint, index.read]);
    const own = opened.get(key) ?? openIndex(index, store);
    opened.set(key, own);
    return { name, index: own, ...(spoken && { spoken }) };
  });
  return mixedIndex(sources);
}

function inline({ corrupt, shards: all }: InlineIndex): Pick<DataIndex, 'shards' | 'entriesOf'> {
  const corruptIn = new Map<string, number>();
  for (const { shard } of corrupt) corruptIn.set(shard, (corruptIn.get(shard) ?? 0) + 1);
  const shards = all.map(({ examples: { length }, ...shard }): ShardFacts => {
    return { ...shard, examples: length, corrupt: corruptIn.get(shard.key) ?? 0 };
  });
  const entriesOf = async (shard: number) => {
    const { examples } = all[shard]!;
    return { length: examples.length, at: (i: number) => examples[i]! };
  };
  return { shards, entriesOf };
}

function listed({ shards, read, pixels }: ListedIndex, store: ShardStore): Pick<DataIndex, 'shards' | 'entriesOf'> {
  const members = memberKinds(read, pixels);
  const latest = new LatestEntries(async (number) => {
    const { key, bytes, etag, index } = shards[number]!;
    const shard = { key, bytes, etag };
    const own = indexKey(shard, members);
    const entries = (object: Buffer) => readEntries(object, shard, members, index.sha256);
    const found = await stored(store, own, index.bytes);
    // Anyone may have deleted it: it is made again of the same version of the shard, in memory.
    const used = (found && entries(found)) ?? entries(await makeIndex(store, shard, read, pixels));
    if (!used) throw indexLost(store.bucket, own, key);
    return used;
  });
  return { shards, entriesOf: (shard) => latest.of(shard) };
}

async function stored(store: ShardStore, key: string, bytes: number): Promise<Buffer | null> {
  try {
    return await store.get(key, { offset: 0, size: bytes });
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** One entry after the other. */
export function* each(entries: ShardEntries): Generator<ExampleEntry> {
  for (let i = 0; i < entries.length; i++) yield entries.at(i);
}

/** A shard with all its entries beside it. */
export async function inlineShard(index: DataIndex, shard: number): Promise<ShardIndex> {
  const { key, bytes, etag, sha256 } = index.shards[shard]!;
  const examples = [...each(await index.entriesOf(shard))];
  return { key, bytes, etag, ...(sha256 !== undefined && { sha256 }), examples };
}

/** Members of all shards that can't be used. */
export const corruptIn = ({ shards }: Pick<DataIndex, 'shards'>): number =>
  shards.reduce((sum, { corrupt }) => sum + corrupt, 0);
