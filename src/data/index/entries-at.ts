import type { DataIndex, ExampleEntry } from './types.ts';

/** The examples of these numbers (ascending), each with the number of its shard: an index of a shard is in memory at a time. */
export async function* entriesAt(
  index: DataIndex,
  numbers: Iterable<number>,
): AsyncGenerator<{ readonly number: number; readonly shard: number; readonly entry: ExampleEntry }> {
  let [shard, first] = [0, 0];
  let entries: Awaited<ReturnType<DataIndex['entriesOf']>> | null = null;
  for (const number of numbers) {
    while (number >= first + index.shards[shard]!.examples) {
      first += index.shards[shard]!.examples;
      shard++;
      entries = null;
    }
    entries ??= await index.entriesOf(shard);
    yield { number, shard, entry: entries.at(number - first) };
  }
}
