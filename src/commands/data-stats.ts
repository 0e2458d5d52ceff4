import { shardsBelow } from '../data/index/index-data.ts';
import { joinMembers } from '../data/index/members.ts';
import { readShard } from '../data/index/read-shard.ts';
import { lookAtShard } from '../data/stats/look-at-shard.ts';
import type { ShownPicture } from '../data/stats/shown-pictures.ts';
import { Tally } from '../data/stats/tally.ts';
import type { StatsOfExamples } from '../data/stats/types.ts';
import type { ReadSettings } from '../recipe/reading.ts';
import { counted, outOf } from '../runtime/count-text.ts';
import { evenly } from '../runtime/evenly.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { firstOf } from './look-at-data.ts';

export interface StatsOptions {
  /** How to read the shards; absent: guessed from the first. */
  readonly read?: ReadSettings | undefined;
  /** Every shard and every picture, not some of them. */
  readonly all: boolean;
  /** Of the examples for a page of pictures: so many. */
  readonly pictures: number;
  /** Told how far it is, after some megabytes each. */
  readonly note: (text: string) => void;
}

export interface DataStats extends StatsOfExamples {
  readonly prefix: string;
  readonly shards: number;
  /** Of all shards. */
  readonly shardBytes: number;
  /** What was looked at: shards, their examples as names tell them, and those whose texts and pictures were read. */
  readonly looked: { readonly shards: number; readonly examples: number; readonly read: number };
}

/** Where not all is looked at: shards, and examples of them together, evenly spread. */
const someShards = 16;
const someExamples = 2000;

/**
 * `siglip2 data stats`: what the examples below a prefix are, one shard after the other. It takes the memory of a shard's
 * names, however many shards there are, and gives the same each time. DataContract where nothing reads them.
 */
export async function statsOfData(
  store: ObjectStore,
  prefix: string,
  { read: told, all, pictures, note }: StatsOptions,
): Promise<{ readonly stats: DataStats; readonly shown: readonly ShownPicture[] }> {
  const shards = await shardsBelow(store, prefix);
  const [{ mapping }] = await firstOf(store, prefix, shards, told);
  const chosen = all ? shards : evenly(shards, someShards);
  const tally = new Tally(pictures);
  const looked = { shards: 0, examples: 0, read: 0 };
  for (const info of chosen) {
    const { members } = await readShard(store, info);
    const { examples, corrupt } = await joinMembers(info.key, members, mapping);
    for (const member of corrupt) tally.refuse(member);
    const entries = all ? examples : evenly(examples, Math.ceil(someExamples / chosen.length));
    await lookAtShard(store, info, entries, mapping, tally, (count) => {
      looked.read += count;
      note(`${outOf(looked.shards, chosen.length, 'shard')} and ${counted(looked.read, 'example')} looked at`);
    });
    looked.shards++;
    looked.examples += examples.length + corrupt.length;
  }
  const shardBytes = shards.reduce((sum, { bytes }) => sum + bytes, 0);
  return { stats: { prefix, shards: shards.length, shardBytes, looked, ...tally.stats }, shown: tally.shown.list };
}
