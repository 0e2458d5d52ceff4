import { entriesAt } from '../index/entries-at.ts';
import { GapReader } from '../index/gap-reader.ts';
import type { ShardStore } from '../index/part-reader.ts';
import type { ByteRange, CorruptMember, DataIndex, PixelKind } from '../index/types.ts';
import { CorruptExample } from './corrupt-example.ts';
import { checkSizes, readMeta } from './example.ts';
import { largestPixelMember } from './pixel-truth.ts';
import type { ExampleMeta } from './types.ts';

/** An example as it lies in its shard: the picture is still a file. */
export interface SelectedExample {
  /** In the index. */
  readonly number: number;
  readonly shard: string;
  readonly name: string;
  readonly meta: ExampleMeta;
  /** Valid until the next one is asked for. */
  readonly picture: Buffer;
  /** The member that says what is to be seen, as it lies there; valid as long. */
  readonly said: Buffer;
  /** Members with a value a pixel that the index has; too large ones as an empty file. */
  readonly pixels: Readonly<Partial<Record<PixelKind, Buffer>>>;
}

/**
 * The examples of these numbers (ascending), and of their shards little more than these. What can't be used is told to
 * `onCorrupt`; read errors are thrown.
 */
export async function* readSelected(
  store: ShardStore,
  index: DataIndex,
  numbers: Iterable<number>,
  onCorrupt: (corrupt: CorruptMember, number: number) => void,
): AsyncGenerator<SelectedExample> {
  let [reader, of]: [GapReader | null, number] = [null, -1];
  for await (const { number, shard, entry } of entriesAt(index, numbers)) {
    const facts = index.shards[shard]!;
    if (!reader || of !== shard) [reader, of] = [new GapReader(store, facts), shard];
    try {
      checkSizes(entry, index.read);
      const beside = Object.entries(entry.pixels ?? {}) as [PixelKind, ByteRange][];
      const small = beside.flatMap(([, range]) => (range.size > largestPixelMember ? [] : range));
      const members = [entry.image, entry.meta, ...(entry.class ? [entry.class] : []), ...small];
      // In the order of the shard: what lies before is not asked for again.
      const held = new Map<ByteRange, Buffer>();
      for (const range of members.sort((a, b) => a.offset - b.offset))
        held.set(range, Buffer.from(await reader.read(range.offset, range.size)));
      const meta = await readMeta(entry, index.read, async (range) => held.get(range)!);
      yield {
        number,
        shard: facts.key,
        name: entry.name,
        meta,
        picture: held.get(entry.image)!,
        said: held.get(entry.meta)!,
        pixels: Object.fromEntries(beside.map(([kind, range]) => [kind, held.get(range) ?? Buffer.alloc(0)])),
      };
    } catch (error) {
      if (!(error instanceof CorruptExample)) throw error;
      onCorrupt({ shard: facts.key, name: entry.name, reason: error.message }, number);
    }
  }
}
