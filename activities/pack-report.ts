import pMap, { pMapIterable } from 'p-map';
import { DroppedItems } from '../src/packing/dropped.ts';
import { packKeys } from '../src/packing/keys.ts';
import type { PackReport } from '../src/packing/report.ts';
import type { Found, Packed } from '../src/packing/types.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import { readListing, readPackJson, requirePackJson } from './pack-documents.ts';
import type { MergePartResult, SettledPack, SettlePackInput } from './types/pack.ts';

/** Says beside the shards what was packed and what was left out, and takes away what workers handed to one another. */
export async function reportPack(deps: Dependencies, input: SettlePackInput, attempt: Attempt): Promise<PackReport> {
  const { store } = deps;
  const keys = packKeys(input.settings.to);
  const heart = beat(attempt, () => ({ doing: 'writing the report' }));
  try {
    let report = await readPackJson<PackReport>(store, keys.report);
    if (!report) {
      report = await reportOf(deps, input);
      await store.put(keys.report, `${JSON.stringify(report, null, 2)}\n`, { contentType: 'application/json' });
    }
    const left: string[] = [];
    const remove = () => pMap(left.splice(0), (key) => store.delete(key), { concurrency: 16 });
    for await (const { key } of store.list(keys.work)) {
      left.push(key);
      if (left.length >= 1000) await remove();
    }
    await remove();
    return report;
  } finally {
    heart.stop();
  }
}

async function reportOf({ store }: Dependencies, { settings, partitions }: SettlePackInput): Promise<PackReport> {
  const keys = packKeys(settings.to);
  const { layout, counts, pictures, otherSplits } = await readListing(store, settings);
  const dropped = new DroppedItems();
  let [shards, examples, bytes, texts, named, crowded] = [0, 0, 0, 0, 0, 0];
  const parts = pMapIterable(
    Array.from(counts.keys()),
    async (n) =>
      [
        await requirePackJson<Found>(store, keys.found(n)),
        await requirePackJson<Packed>(store, keys.packed(n)),
      ] as const,
    { concurrency: 16 },
  );
  for await (const [found, packed] of parts) {
    dropped.merge(found.dropped);
    dropped.merge(packed.dropped);
    named += found.named;
    shards += packed.shards.length;
    examples += packed.examples;
    texts += packed.joined;
    bytes += packed.shards.reduce((sum, shard) => sum + shard.bytes, 0);
  }
  const compared = settings.duplicates !== 'keep';
  for (let k = 0; compared && k < partitions; k++)
    crowded += (await requirePackJson<MergePartResult>(store, keys.merged(k))).crowded;
  const { exact, near } = compared ? await requirePackJson<SettledPack>(store, keys.resolved) : { exact: 0, near: 0 };
  return {
    settings,
    layout,
    read: counts.reduce((sum, count) => sum + count, 0),
    examples,
    shards,
    bytes,
    duplicates: { exact, near, texts, crowded },
    dropped: dropped.all,
    otherSplits,
    unnamed: pictures === undefined ? 0 : Math.max(0, pictures - named),
  };
}
