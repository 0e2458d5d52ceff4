import type { ReadSettings } from '../../recipe/reading.ts';
import { turns } from '../../runtime/turns.ts';
import { GapReader } from '../index/gap-reader.ts';
import { spanOf } from '../index/members.ts';
import { each } from '../index/open-index.ts';
import { PartReader, partBytes, readRange, type ShardStore } from '../index/part-reader.ts';
import type { ByteRange, CorruptMember, DataIndex, ExampleEntry } from '../index/types.ts';
import { captionTaskWords } from './caption-texts.ts';
import { CorruptExample } from './corrupt-example.ts';
import { decodeImage } from './decode.ts';
import { checkSizes, largestMeta, readMeta } from './example.ts';
import type { Pixels } from './pixels.ts';
import { RegionReader } from './region-reader.ts';
import { eosId, padId, type TextTokenizer, unknownId } from './tokenizer.ts';
import type { ExampleMeta } from './types.ts';
import { wordingsOf } from './wordings.ts';

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

/**
 * Of a text so many tokens are looked at, far more than the 64 of the longest text of a model: tables of captions that
 * people write hold all of them, and no caption costs more than that.
 */
const tokensOfText = 1024;
/** Texts that are kept to be looked at once each. */
const textsAtOnce = 10_000;

/**
 * Sorted distinct token ids that texts about these examples can hold, in these languages (`other`: in any): the
 * rows of a compacted token table. Padding, end and unknown are always among them. `captioning`: and in the texts that
 * a decoder is to say. `read`: as the recipe has it, with the templates that texts are put into.
 */
export async function collectTokenIds(
  store: ShardStore,
  index: DataIndex,
  tokenizer: TextTokenizer,
  languages: readonly string[],
  { captioning = false, read }: { readonly captioning?: boolean; readonly read?: ReadSettings | undefined } = {},
): Promise<number[]> {
  const any = languages.includes('other');
  const ids = new Set([padId, eosId, unknownId]);
  const turn = turns();
  const add = async (texts: Iterable<string>) => {
    for (const text of texts) {
      for (const id of tokenizer.ids(text, tokensOfText)) ids.add(id);
      await turn();
    }
  };
  if (captioning) await add(captionTaskWords());
  const { words, wordings } = wordingsOf({ read, captioning, single: index.read !== undefined });
  await add(words);
  const found = index.regions && captioning ? regionsOf(store, index) : null;
  for (const [number, shard] of index.shards.entries()) {
    const reader = new GapReader(store, shard);
    const texts = new Set<string>();
    for (const entry of each(await index.entriesOf(number))) {
      if (Math.max(entry.meta.size, entry.class?.size ?? 0) > largestMeta) continue;
      const meta = await metaUnlessCorrupt(reader, entry, index, (meta) =>
        found ? found.join(shard.key, entry.name, meta) : meta,
      );
      if (captioning) for (const { caption } of meta.regions ?? []) texts.add(`: ${caption} :`);
      for (const [language, own] of Object.entries(meta.captions)) {
        if (!any && !languages.includes(language)) continue;
        for (const text of wordings(own, meta.fields?.[language])) texts.add(text);
      }
      await turn();
      if (texts.size < textsAtOnce) continue;
      await add(texts);
      texts.clear();
    }
    await add(texts);
  }
  return [...ids].sort((a, b) => a - b);
}

async function metaUnlessCorrupt(
  reader: GapReader,
  entry: ExampleEntry,
  { read }: DataIndex,
  join: (meta: ExampleMeta) => ExampleMeta | Promise<ExampleMeta>,
): Promise<Pick<ExampleMeta, 'captions' | 'fields' | 'regions'>> {
  try {
    return await join(await readMeta(entry, read, ({ offset, size }) => reader.read(offset, size)));
  } catch (error) {
    // Training skips it too, and reports it.
    if (error instanceof CorruptExample) return { captions: {} };
    throw error;
  }
}

/** Regions of a detector, each file of them read once as the shards are gone through. */
function regionsOf(store: ShardStore, index: DataIndex): RegionReader {
  let held: { readonly key: string; readonly bytes: Buffer } | undefined;
  return new RegionReader(index, async (file, { offset, size }) => {
    if (held?.key !== file.key) held = { key: file.key, bytes: await readRange(store, file, 0, file.bytes) };
    return held.bytes.subarray(offset, offset + size);
  });
}
