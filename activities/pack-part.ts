import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pMap from 'p-map';
import { CorruptExample } from '../src/data/example/corrupt-example.ts';
import type { ShardStore } from '../src/data/index/part-reader.ts';
import { DroppedItems } from '../src/packing/dropped.ts';
import { encode } from '../src/packing/encode.ts';
import { packKeys } from '../src/packing/keys.ts';
import { pictureOf } from '../src/packing/load-item.ts';
import { withCopies } from '../src/packing/negatives.ts';
import { readPart } from '../src/packing/read-part.ts';
import { fateBytes, joinedBytes } from '../src/packing/resolve.ts';
import type { RowItem } from '../src/packing/row-item.ts';
import type { PackSettings } from '../src/packing/settings.ts';
import { membersBytes, ShardFile } from '../src/packing/shard-file.ts';
import { textIn, textOfItem } from '../src/packing/texts-file.ts';
import type { Found, Packed, PackedMeta, PackedShard } from '../src/packing/types.ts';
import { counted } from '../src/runtime/count-text.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { sha256 } from '../src/runtime/hash.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { beat } from './heartbeat.ts';
import { readListing, readPackJson, readPartOf, requirePackJson, startsOf } from './pack-documents.ts';
import { chunksOf, picturesAtOnce } from './pack-hash.ts';
import type { PackPartInput, PackPartResult } from './types/pack.ts';

/** Texts that are fetched for one picture. */
const mostJoined = 100;

/**
 * Writes the pictures of a part that stay, with the texts of those that went to them, into one or more shards. Their bytes
 * depend on the data and the settings alone: what another attempt has written is the same, and is left as it is.
 */
export async function packPart(deps: Dependencies, input: PackPartInput, attempt: Attempt): Promise<PackPartResult> {
  const { store, scratch } = deps;
  const { settings, part: number } = input;
  const keys = packKeys(settings.to);
  const folder = join(scratch, `pack-${attempt.id}`);
  let doing = `packing part ${number}`;
  const heart = beat(attempt, () => ({ doing }));
  try {
    const before = await readPackJson<Packed>(store, keys.packed(number));
    if (before) return resultOf(before);
    await mkdir(folder, { recursive: true });
    const { part, sha256: of } = await readPartOf(store, settings, number);
    const found = await requirePackJson<Found>(store, keys.found(number));
    if (found.part !== of) throw changed(settings, `part ${number}`);
    const texts = await store.get(keys.texts(number));
    const { gone, joined } = await fatesOf(store, settings, number);
    const dropped = new DroppedItems();
    const shards: PackedShard[] = [];
    let shard: ShardFile | null = null;
    let [examples, from, index] = [0, 0, 0];
    const close = async () => {
      if (!shard) return;
      const hash = await shard.end();
      const key = keys.shard(number, shards.length);
      doing = `uploading ${key}`;
      await putShard(store, key, shard.path, hash, attempt.signal);
      await rm(shard.path);
      shards.push({ key, bytes: shard.bytes, sha256: hash, examples: shard.examples });
      shard = null;
    };
    const make = async ({ item, i, meta }: { item: RowItem; i: number; meta: PackedMeta }) => {
      try {
        return await encode(await pictureOf(store, item), settings);
      } catch (error) {
        if (!(error instanceof CorruptExample)) throw error;
        // What was there when it was looked at has to be there still: its copies went for it.
        if (/missing|empty|decoded|not a PNG/.test(error.message))
          throw changed(settings, `${item.name} (${error.message})`);
        dropped.add(item.name, error.message);
        return { i, meta, fault: error.message };
      }
    };
    for await (const items of chunksOf(readPart(store, part, settings.language))) {
      attempt.signal.throwIfAborted();
      const first = index;
      index += items.length;
      const stay = items.flatMap((item, n) => {
        const i = first + n;
        const meta = gone.has(i) ? null : textIn(texts, i);
        return meta ? [{ item, i, meta }] : [];
      });
      const pictures = await pMap(stay, make, { concurrency: picturesAtOnce });
      for (const [n, picture] of pictures.entries()) {
        if ('fault' in picture) continue;
        const { i, meta } = stay[n]!;
        const copies = joined.get(i) ?? [];
        from += copies.length;
        const name = `${String(number).padStart(5, '0')}-${String(i).padStart(5, '0')}`;
        const members = [
          { name: `${name}.${picture.ending}`, body: Buffer.from(picture.bytes) },
          { name: `${name}.json`, body: Buffer.from(JSON.stringify(withCopies(meta, copies))) },
        ];
        if (shard && shard.bytes + membersBytes(members) > settings.shardBytes) await close();
        shard ??= new ShardFile(join(folder, `${shards.length}.tar`));
        await shard.add(members);
        examples++;
      }
      doing = `packed ${counted(examples, 'picture')} of part ${number}`;
    }
    await close();
    const packed: Packed = { shards, examples, joined: from, dropped: dropped.all };
    await store.put(keys.packed(number), JSON.stringify(packed), { contentType: 'application/json' });
    return resultOf(packed);
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}

const resultOf = ({ shards, examples }: Packed): PackPartResult => ({
  shards: shards.length,
  examples,
  bytes: shards.reduce((sum, { bytes }) => sum + bytes, 0),
});

const changed = ({ to }: PackSettings, what: string) =>
  new RunnerError(
    'DataContract',
    `the data changed while they were packed: ${what} is not what it was; put it back, or take away what lies below ${to}/ and start again`,
  );

/** Items of a part that go, and the texts that come to those that stay. */
async function fatesOf(
  store: ShardStore,
  settings: PackSettings,
  part: number,
): Promise<{ gone: ReadonlySet<number>; joined: ReadonlyMap<number, readonly PackedMeta[]> }> {
  if (settings.duplicates === 'keep') return { gone: new Set(), joined: new Map() };
  const keys = packKeys(settings.to);
  const [fates, records] = [await store.get(keys.fates(part)), await store.get(keys.joined(part))];
  const gone = new Set(Array.from({ length: fates.length / fateBytes }, (_, n) => fates.readUInt32LE(fateBytes * n)));
  const starts = startsOf(await readListing(store, settings));
  const wanted: { readonly i: number; readonly part: number; readonly index: number }[] = [];
  for (let at = 0, last = -1, count = 0; at < records.length; at += joinedBytes) {
    const [i, id] = [records.readUInt32LE(at), records.readUInt32LE(at + 4)];
    count = i === last ? count + 1 : 1;
    last = i;
    if (count <= mostJoined) wanted.push({ i, ...placeOf(starts, id) });
  }
  // One small range each: where texts of duplicates differ, they lie anywhere.
  const metas = await pMap(wanted, (one) => textOfItem(store, keys.texts(one.part), one.index), { concurrency: 16 });
  const joined = new Map<number, PackedMeta[]>();
  for (const [n, meta] of metas.entries()) {
    const { i } = wanted[n]!;
    joined.set(i, [...(joined.get(i) ?? []), meta]);
  }
  return { gone, joined };
}

function placeOf(starts: readonly number[], id: number): { part: number; index: number } {
  let [low, high] = [0, starts.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= id) low = middle;
    else high = middle;
  }
  return { part: low, index: id - starts[low]! };
}

/** Writes a shard once. One that is there already has to be the same. */
async function putShard(
  store: ObjectStore,
  key: string,
  path: string,
  hash: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await store.putFile(key, path, { ifAbsent: true, sha256: hash, contentType: 'application/x-tar', signal });
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    if (sha256(await store.get(key)) === hash) return;
    throw new RunnerError(
      'DataContract',
      `s3://${store.bucket}/${key} is there and is another shard: take away what lies beside it and start again, or name another prefix`,
    );
  }
}
