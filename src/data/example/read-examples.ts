import { spanOf } from '../index/members.ts';
import { each } from '../index/open-index.ts';
import { PartReader, partBytes, type ShardStore } from '../index/part-reader.ts';
import type { ByteRange, CorruptMember, DataIndex } from '../index/types.ts';
import { CorruptExample } from './corrupt-example.ts';
import { decodeImage } from './decode.ts';
import { checkSizes, readMeta } from './example.ts';
import type { Pixels } from './pixels.ts';
import type { ExampleMeta } from './types.ts';

export interface ReadExample {
  readonly image: Pixels;
  readonly meta: ExampleMeta;
}

export interface ReadOptions {
  /** At most so many examples. */
  readonly max?: number;
  readonly onCorrupt?: (corrupt: CorruptMember) => void;
}

/** Every example in index order, for evaluation: not augmented, not shuffled. */
export async function* readExamples(
  store: ShardStore,
  index: DataIndex,
  { max = Number.POSITIVE_INFINITY, onCorrupt }: ReadOptions = {},
): AsyncGenerator<ReadExample> {
  let count = 0;
  for (const [number, shard] of index.shards.entries()) {
    if (count >= max) return;
    const reader = new PartReader(store, shard);
    for (const entry of each(await index.entriesOf(number))) {
      if (count >= max) return;
      try {
        checkSizes(entry, index.read);
        const bytesOf = ({ offset, size }: ByteRange) => reader.read(offset, size);
        // The picture lies before its texts, or behind them: either way it is asked for once.
        const span = spanOf([entry.image, entry.meta, entry.class]);
        if (span.size <= partBytes) await bytesOf(span);
        const meta = await readMeta(entry, index.read, bytesOf);
        const image = await decodeImage(await bytesOf(entry.image));
        yield { image, meta };
        count++;
      } catch (error) {
        if (!(error instanceof CorruptExample)) throw error;
        onCorrupt?.({ shard: shard.key, name: entry.name, reason: error.message });
      }
    }
  }
}
