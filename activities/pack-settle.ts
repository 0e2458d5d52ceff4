import { join } from 'node:path';
import { pMapIterable } from 'p-map';
import { sectionPlace } from '../src/packing/hash-file.ts';
import { packKeys } from '../src/packing/keys.ts';
import { resolve } from '../src/packing/resolve.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import { readListing, readPackJson } from './pack-documents.ts';
import type { SettledPack, SettlePackInput } from './types.ts';

/** Settles which pictures go, and where their texts go, from what all partitions found. */
export async function settlePack(
  { store, scratch }: Dependencies,
  { settings, partitions }: SettlePackInput,
  attempt: Attempt,
): Promise<SettledPack> {
  const keys = packKeys(settings.to);
  let doing = 'joining duplicates';
  const heart = beat(attempt, () => ({ doing }));
  try {
    const before = await readPackJson<SettledPack>(store, keys.resolved);
    if (before) return before;
    const { counts } = await readListing(store, settings);
    const edgesOf = (window: number) =>
      pMapIterable(
        Array.from({ length: partitions }, (_, k) => keys.edges(k)),
        async (key) => {
          const [offset, size] = sectionPlace(await store.get(key, { offset: 4 * window, size: 8 }));
          return store.get(key, { offset, size });
        },
        { concurrency: 16 },
      );
    const put = (key: string, records: Buffer) => {
      attempt.signal.throwIfAborted();
      doing = `joining duplicates: ${key.slice(key.lastIndexOf('/') + 1)} of ${counts.length} parts`;
      return store.put(key, records).then(() => {});
    };
    const output = {
      fates: (part: number, records: Buffer) => put(keys.fates(part), records),
      joined: (part: number, records: Buffer) => put(keys.joined(part), records),
    };
    const resolved = await resolve(counts, edgesOf, output, join(scratch, `pack-${attempt.id}`));
    await store.put(keys.resolved, JSON.stringify(resolved), { contentType: 'application/json' });
    return resolved;
  } finally {
    heart.stop();
  }
}
