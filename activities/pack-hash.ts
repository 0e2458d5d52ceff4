import pMap from 'p-map';
import { CorruptExample } from '../src/data/example/corrupt-example.ts';
import { decodeInTurn } from '../src/data/example/decode-in-turn.ts';
import { fingerprint } from '../src/data/near/fingerprint.ts';
import { DroppedItems } from '../src/packing/dropped.ts';
import { type Hashed, hashFile } from '../src/packing/hash-file.ts';
import { packKeys } from '../src/packing/keys.ts';
import { metaOfItem, missing, pictureOf } from '../src/packing/load-item.ts';
import { readPart } from '../src/packing/read-part.ts';
import type { RowItem } from '../src/packing/row-item.ts';
import { textsFile } from '../src/packing/texts-file.ts';
import type { Found, PackedMeta } from '../src/packing/types.ts';
import { counted } from '../src/runtime/count-text.ts';
import { canonicalJson, sha256 } from '../src/runtime/hash.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import { readListing, readPackJson, readPartOf, startsOf } from './pack-documents.ts';
import type { HashPartInput, HashPartResult } from './types/pack.ts';

/** Pictures that are read and decoded side by side; of them all pixels are held. */
export const picturesAtOnce = 4;

/** Looks at every picture of a part: its hashes, its texts, and what can't be used. The same again gives the same bytes. */
export async function hashPart(deps: Dependencies, input: HashPartInput, attempt: Attempt): Promise<HashPartResult> {
  const { store } = deps;
  const { settings, part: number, partitions } = input;
  const keys = packKeys(settings.to);
  let doing = `looking at part ${number}`;
  const heart = beat(attempt, () => ({ doing }));
  try {
    const { part, sha256: of } = await readPartOf(store, settings, number);
    const before = await readPackJson<Found>(store, keys.found(number));
    if (before?.part === of) return { usable: before.usable };
    const first = startsOf(await readListing(store, settings))[number]!;
    const dropped = new DroppedItems();
    const metas: (PackedMeta | null)[] = [];
    const hashed: Hashed[] = [];
    const named = new Set<string>();
    const look = async (item: RowItem) => {
      try {
        const meta = await metaOfItem(store, item, settings.language);
        const image = await decodeInTurn(await pictureOf(store, item));
        return { meta, print: await fingerprint(image) };
      } catch (error) {
        if (error instanceof CorruptExample) return { fault: error.message };
        throw error;
      }
    };
    for await (const items of chunksOf(readPart(store, part, settings.language))) {
      attempt.signal.throwIfAborted();
      const looked = await pMap(items, look, { concurrency: picturesAtOnce });
      for (const [i, one] of looked.entries()) {
        const item = items[i]!;
        if (item.key !== undefined && !('fault' in one && one.fault?.startsWith(missing))) named.add(item.key);
        if ('fault' in one) {
          dropped.add(item.name, one.fault);
          metas.push(null);
          continue;
        }
        const { captions, negatives } = one.meta;
        const said = canonicalJson(negatives ? { captions, negatives } : captions);
        const text = Number.parseInt(sha256(said).slice(0, 8), 16);
        hashed.push({ ...one.print, id: first + metas.length, text });
        metas.push(one.meta);
      }
      doing = `looked at ${counted(metas.length, 'picture')} of part ${number}`;
    }
    await store.put(keys.texts(number), textsFile(metas));
    await store.put(keys.hashes(number), hashFile(hashed, partitions, settings.duplicates === 'near'));
    const found: Found = { part: of, usable: hashed.length, named: named.size, dropped: dropped.all };
    await store.put(keys.found(number), JSON.stringify(found), { contentType: 'application/json' });
    return { usable: hashed.length };
  } finally {
    heart.stop();
  }
}

/** Some at a time, in their order. */
export async function* chunksOf<T>(items: AsyncIterable<T>, size = 4 * picturesAtOnce): AsyncGenerator<T[]> {
  let chunk: T[] = [];
  for await (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
