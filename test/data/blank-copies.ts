import sharp from 'sharp';
import { tarShard } from '../../infra/emoji/draw.ts';
import { type ExampleRef, entryOf } from '../../src/data/batches/order.ts';
import type { ByteRange, DataIndex } from '../../src/data/index/types.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';

export interface Blank {
  readonly picture: boolean;
  readonly caption: boolean;
}

/**
 * A copy of a data set below another prefix, its examples under the same names and in the same order. Some of them
 * become pictures of one grey, of a few sizes, or have one caption, as when what wrote the data was broken.
 */
export async function copyWithBlanks(
  store: ObjectStore,
  index: DataIndex,
  prefix: string,
  blank: (of: ExampleRef) => Blank,
): Promise<void> {
  for (const [shard, { key, examples }] of index.shards.entries()) {
    const members: { name: string; body: Buffer }[] = [];
    const bytes = ({ offset, size }: ByteRange) => store.get(key, { offset, size });
    for (const example of Array(examples).keys()) {
      const { name, image, meta } = (await entryOf(index, { shard, example })).entry;
      const { picture, caption } = blank({ shard, example });
      members.push(
        { name: `${name}.png`, body: picture ? await grey(example) : await bytes(image) },
        { name: `${name}.json`, body: caption ? nothing : await bytes(meta) },
      );
    }
    const { body } = await tarShard(members);
    await store.put(`${prefix}/${String(shard).padStart(5, '0')}.tar`, body);
  }
}

const nothing = Buffer.from(JSON.stringify({ captions: { en: ['nothing', 'at', 'all'] }, concept: 'nothing' }));

const grey = (example: number) =>
  sharp({ create: { width: 20 + (example % 7), height: 24, channels: 3, background: '#bababa' } })
    .png()
    .toBuffer();
