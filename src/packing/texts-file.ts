import type { ObjectStore } from '../storage/object-store.ts';
import type { PackedMeta } from './types.ts';

/** What is said of the items of a part: where each text begins (u32, one more than there are), then the JSON of each; none of those that can't be used. */
export function textsFile(metas: readonly (PackedMeta | null)[]): Buffer {
  const bodies = metas.map((meta) => (meta === null ? Buffer.alloc(0) : Buffer.from(JSON.stringify(meta))));
  const index = Buffer.alloc(4 * (bodies.length + 1));
  let at = index.length;
  for (const [i, { length }] of bodies.entries()) {
    index.writeUInt32LE(at, 4 * i);
    at += length;
  }
  index.writeUInt32LE(at, 4 * bodies.length);
  return Buffer.concat([index, ...bodies]);
}

/** What is said of item `i` in a whole file; null where it can't be used. */
export function textIn(file: Buffer, i: number): PackedMeta | null {
  const [from, to] = [file.readUInt32LE(4 * i), file.readUInt32LE(4 * i + 4)];
  return from === to ? null : (JSON.parse(file.toString('utf8', from, to)) as PackedMeta);
}

/** As `textIn`, by two small ranges of a file in the bucket. */
export async function textOfItem(store: Pick<ObjectStore, 'get'>, key: string, i: number): Promise<PackedMeta> {
  const index = await store.get(key, { offset: 4 * i, size: 8 });
  const [from, to] = [index.readUInt32LE(0), index.readUInt32LE(4)];
  return JSON.parse((await store.get(key, { offset: from, size: to - from })).toString('utf8')) as PackedMeta;
}
