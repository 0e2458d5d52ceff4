import { packKeys } from '../src/packing/keys.ts';
import { listParts } from '../src/packing/list-parts.ts';
import type { Listing } from '../src/packing/types.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import { readPackJson } from './pack-documents.ts';
import type { PackInput, PackListed } from './types/pack.ts';

/** Cuts what is there into parts, documents of the bucket. The listing names their number and is written last, once. */
export async function listPack(
  { store }: Dependencies,
  { settings }: PackInput,
  attempt: Attempt,
): Promise<PackListed> {
  const keys = packKeys(settings.to);
  let doing = 'listing';
  const heart = beat(attempt, () => ({ doing }));
  try {
    let listing = await readPackJson<Listing>(store, keys.listing);
    if (!listing) {
      listing = await listParts(
        store,
        settings,
        async (number, bytes) => {
          attempt.signal.throwIfAborted();
          await store.put(keys.part(number), bytes, { contentType: 'application/json' });
        },
        (text) => {
          doing = text;
        },
      );
      await store.put(keys.listing, JSON.stringify(listing), { contentType: 'application/json' });
    }
    const { layout, counts } = listing;
    return { layout, parts: counts.length, items: counts.reduce((sum, count) => sum + count, 0) };
  } finally {
    heart.stop();
  }
}
