import { turns } from '../../runtime/turns.ts';
import { spanOf } from '../index/members.ts';
import { each } from '../index/open-index.ts';
import { PartReader, partBytes, type ShardStore } from '../index/part-reader.ts';
import type { ByteRange, CorruptMember, DataIndex, ExampleEntry } from '../index/types.ts';
import { captionTaskWords } from './caption-texts.ts';
import { CorruptExample } from './corrupt-example.ts';
import { decodeImage } from './decode.ts';
import { checkSizes, largestMeta, readMeta } from './example.ts';
import type { Pixels } from './pixels.ts';
import { eosId, padId, type TextTokenizer, unknownId } from './tokenizer.ts';
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
 * a decoder is to say.
 */
export async function collectTokenIds(
  store: ShardStore,
  index: DataIndex,
  tokenizer: TextTokenizer,
  languages: readonly string[],
  { captioning = false }: { readonly captioning?: boolean } = {},
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
  for (const [number, shard] of index.shards.entries()) {
    const reader = new PartReader(store, shard);
    const texts = new Set<string>();
    for (const entry of each(await index.entriesOf(number))) {
      if (Math.max(entry.meta.size, entry.class?.size ?? 0) > largestMeta) continue;
      const { captions, regions = [] } = await metaUnlessCorrupt(reader, entry, index);
      if (captioning) for (const { caption } of regions) texts.add(`: ${caption} :`);
      for (const [language, [label, ...tags]] of Object.entries(captions)) {
        if (!any && !languages.includes(language)) continue;
        // Tags follow one another in any order: each comes after a comma, and ends the text or has one behind it.
        if (label !== undefined) texts.add(label).add(`${label},`);
        if (label !== undefined && captioning) texts.add(`Cap: ${label}`).add(`Cap: ${label},`);
        for (const tag of tags) texts.add(`, ${tag}`).add(`, ${tag},`);
        // Of shards of others each text may be drawn by itself.
        if (index.read) for (const tag of tags) texts.add(tag);
        if (index.read && captioning) for (const tag of tags) texts.add(`Cap: ${tag}`);
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
  reader: PartReader,
  entry: ExampleEntry,
  { read }: DataIndex,
): Promise<Pick<ExampleMeta, 'captions' | 'regions'>> {
  try {
    return await readMeta(entry, read, ({ offset, size }) => reader.read(offset, size));
  } catch (error) {
    // Training skips it too, and reports it.
    if (error instanceof CorruptExample) return { captions: {} };
    throw error;
  }
}
