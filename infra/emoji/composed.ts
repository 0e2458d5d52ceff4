import pMap from 'p-map';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { tarShard } from './draw.ts';
import type { MadeShard } from './record.ts';

/** Pictures made of several emoji in a shard. */
export const composedPerShard = 256;

/** Writes `count` composed pictures into shards `prefix`/`name`-00000.tar and on; `members` makes the files of one by its number. */
export async function writeComposed(
  store: ObjectStore,
  prefix: string,
  name: string,
  count: number,
  members: (number: number) => Promise<{ name: string; body: Buffer }[]>,
): Promise<MadeShard[]> {
  const shards: MadeShard[] = [];
  for (let start = 0; start < count; start += composedPerShard) {
    const numbers = Array.from({ length: Math.min(composedPerShard, count - start) }, (_, i) => start + i);
    const { body, sha256 } = await tarShard((await pMap(numbers, members, { concurrency: 2 })).flat());
    const key = `${prefix}/${name}-${String(start / composedPerShard).padStart(5, '0')}.tar`;
    await store.put(key, body, { contentType: 'application/x-tar' });
    shards.push({ key, bytes: body.length, sha256 });
  }
  return shards;
}
