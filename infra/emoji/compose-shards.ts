import pMap from 'p-map';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { tarShard } from './draw.ts';
import type { MadeShard } from './record.ts';

/** Part of what bytes depend on: sets that are there name it in their inputs. */
export const perShard = 256;

/** Writes so many examples, each made by its number, as shards `folder`/`name`-00000.tar and on. */
export async function composeShards(
  store: ObjectStore,
  folder: string,
  name: string,
  count: number,
  membersOf: (number: number) => Promise<{ name: string; body: Buffer }[]>,
): Promise<MadeShard[]> {
  const shards: MadeShard[] = [];
  for (let start = 0; start < count; start += perShard) {
    const numbers = Array.from({ length: Math.min(perShard, count - start) }, (_, i) => start + i);
    const members = await pMap(numbers, membersOf, { concurrency: 2 });
    const { body, sha256 } = await tarShard(members.flat());
    const key = `${folder}/${name}-${String(start / perShard).padStart(5, '0')}.tar`;
    await store.put(key, body, { contentType: 'application/x-tar' });
    shards.push({ key, bytes: body.length, sha256 });
  }
  return shards;
}
