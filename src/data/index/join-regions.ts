import pMap from 'p-map';
import { counted } from '../../runtime/count-text.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { hashJson } from '../../runtime/hash.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';
import { openIndex } from './open-index.ts';
import type { RemoteShard, ShardStore } from './part-reader.ts';
import { readRegionHeader, regionKey } from './region-file.ts';
import type { DataIndex, IndexedShard, RegionShard, ShardFacts } from './types.ts';

/**
 * The same data with the regions that lie below a prefix. Their first lines are read, and nothing else: a listing and a
 * small read a shard. DataContract where a shard has none, or those of other bytes.
 */
export async function joinRegions(store: ObjectStore, index: DataIndex, prefix: string): Promise<DataIndex> {
  const found = new Map<string, ObjectInfo>();
  for await (const info of store.list(`${prefix}/`)) found.set(info.key, info);
  const lacking = index.shards.filter(({ key }) => !found.has(regionKey(prefix, key)));
  if (lacking.length > 0)
    throw fail(
      `of the ${counted(index.shards.length, 'shard')} ${lacking.length} ${lacking.length === 1 ? 'has' : 'have'} no regions below ${prefix}/: ${lacking[0]!.key} needs ${regionKey(prefix, lacking[0]!.key)}`,
    );
  const regions = await pMap(
    index.shards,
    (shard: ShardFacts) => regionsOfShard(store, shard, found.get(regionKey(prefix, shard.key))!),
    { concurrency: 16 },
  );
  const fingerprint = hashJson([index.fingerprint, regions.map(({ key, bytes, etag }) => [key, bytes, etag])]);
  return openIndex({ ...index.document, fingerprint, regions }, store);
}

/** The regions of one shard, of which the first line is read. DataContract where they are those of other bytes. */
export async function regionsOfShard(
  store: ShardStore,
  shard: IndexedShard,
  { key, bytes, etag }: RemoteShard,
): Promise<RegionShard> {
  const { header, offset } = await readRegionHeader(store, { key, bytes, etag });
  if (header.shard.key !== shard.key || header.shard.etag !== shard.etag)
    throw fail(
      `${key} has regions of other bytes than ${shard.key} has now (ETag ${header.shard.etag}, and it has ${shard.etag})`,
    );
  return { key, bytes, etag, offset, sha256: header.body.sha256 };
}

const fail = (problem: string) =>
  new RunnerError(
    'DataContract',
    `data.regions: ${problem}; npm run siglip2 -- data annotate makes regions, src/annotation/README.md says how`,
  );
