import { join } from 'node:path';
import { settleDuplicates } from '../src/packing/compare.ts';
import { packKeys } from '../src/packing/keys.ts';
import { counted } from '../src/runtime/count-text.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import { readListing, readPackJson } from './pack-documents.ts';
import type { SettledPack, SettlePackInput } from './types/pack.ts';

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
    const folder = join(scratch, `pack-${attempt.id}`);
    const resolved = await settleDuplicates(store, keys, counts, partitions, folder, (key) => {
      attempt.signal.throwIfAborted();
      doing = `joining duplicates: ${key.slice(key.lastIndexOf('/') + 1)} of ${counted(counts.length, 'part')}`;
    });
    await store.put(keys.resolved, JSON.stringify(resolved), { contentType: 'application/json' });
    return resolved;
  } finally {
    heart.stop();
  }
}
