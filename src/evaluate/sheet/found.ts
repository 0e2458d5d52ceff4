import { CorruptExample } from '../../data/example/corrupt-example.ts';
import { decodeInTurn } from '../../data/example/decode-in-turn.ts';
import { readSelected } from '../../data/example/read-selected.ts';
import type { ShardStore } from '../../data/index/part-reader.ts';
import type { DataIndex } from '../../data/index/types.ts';
import { sha256 } from '../../runtime/hash.ts';
import type { FoundIn } from './job.ts';
import { short } from './look.ts';
import type { Sheet } from './sheet.ts';
import { thumbnail } from './thumbnails.ts';

/** The pictures that evaluators found boxes in, and these; one that can't be read any more is passed over. */
export async function foundIn(
  store: ShardStore,
  index: DataIndex,
  found: readonly FoundIn[],
): Promise<Pick<Sheet, 'found' | 'pictures'>> {
  const numbers = await numbersOf(index, found);
  const pictures: Sheet['pictures'] = {};
  const ids = new Map<string, string>();
  for await (const { shard, name, picture } of readSelected(store, index, numbers, () => {})) {
    try {
      const id = sha256(picture).slice(0, 16);
      pictures[id] = await thumbnail(await decodeInTurn(picture));
      ids.set(placeOf(shard, name), id);
    } catch (error) {
      if (!(error instanceof CorruptExample)) throw error;
    }
  }
  return {
    pictures,
    found: found.flatMap(({ shard, name, by, boxes }) => {
      const id = ids.get(placeOf(shard, name));
      const copied = boxes.map(({ text, truth, found }) => ({
        text: short(text),
        truth: truth && ([...truth] as [number, number, number, number]),
        found: found && ([...found] as [number, number, number, number]),
      }));
      return id === undefined ? [] : [{ id, by, boxes: copied }];
    }),
  };
}

const placeOf = (shard: string, name: string) => JSON.stringify([shard, name]);

/** Ascending. Of each shard that is named the entries are looked through. */
async function numbersOf(index: DataIndex, found: readonly FoundIn[]): Promise<number[]> {
  const wanted = new Set(found.map(({ shard, name }) => placeOf(shard, name)));
  const shards = new Set(found.map(({ shard }) => shard));
  const numbers: number[] = [];
  let first = 0;
  for (const [at, { key, examples }] of index.shards.entries()) {
    if (shards.has(key)) {
      const entries = await index.entriesOf(at);
      for (let i = 0; i < examples; i++) if (wanted.has(placeOf(key, entries.at(i).name))) numbers.push(first + i);
    }
    first += examples;
  }
  return numbers;
}
