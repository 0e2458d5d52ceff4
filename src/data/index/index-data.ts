import { createHash } from 'node:crypto';
import pMap from 'p-map';
import { counted } from '../../runtime/count-text.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { printable } from '../../runtime/printable.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';
import { readClassnames } from './classnames.ts';
import { findIndex, type IndexFacts, indexShard } from './index-shard.ts';
import { KindsSeen, memberName, metaExtension } from './members.ts';
import { openIndex } from './open-index.ts';
import { SkippedMembers } from './skipped-members.ts';
import type { DataIndex, ListedShard, Mapping, PixelKind } from './types.ts';

/** A mapping as a recipe has it: the names of classes lie in a file of the bucket. */
export interface MappingSettings extends Pick<Mapping, 'captions' | 'language'> {
  readonly field?: string | undefined;
  readonly fields?: readonly { readonly field: string; readonly language?: string | undefined }[] | undefined;
  readonly languageField?: string | undefined;
  readonly class?: Mapping['class'] | undefined;
  /** Key of that file. */
  readonly classnames?: string | undefined;
}

/** Headers of indexes that are asked for at once, and shards that are read at once where there is none. */
const askedAtOnce = 32;
const madeAtOnce = 8;
/** Shards whose lists of what can't be used are in memory at once. */
const listsAtOnce = 256;

export interface IndexOptions {
  /** Told how many shards are indexed, of how many, whenever some had to be read for it. */
  readonly onIndexed?: (shards: number, of: number) => void;
  /** Members with a value a pixel that entries are to have. */
  readonly pixels?: readonly PixelKind[];
}

/**
 * Finds every example below one prefix or several (WebDataset shards, `*.tar`). Read errors are thrown, for the caller to try
 * again; faults of the data are listed in `corrupt`, and what is whole is used.
 *
 * @param mapping how shards that others wrote are read; absent: the JSON of this project
 */
export async function indexData(
  store: ObjectStore,
  place: string | readonly string[],
  mapping?: MappingSettings,
  { onIndexed, pixels = [] }: IndexOptions = {},
): Promise<DataIndex> {
  const { prefixes, found, names, read } = await shardsOf(store, place, mapping);
  const prefix = prefixes.join(', ');
  const seen = new KindsSeen();
  const listed = new SkippedMembers();
  const shards: ListedShard[] = [];
  for (let first = 0; first < found.length; first += listsAtOnce) {
    const some = await factsOf(store, found.slice(first, first + listsAtOnce), read, pixels, (made) =>
      onIndexed?.(first + made, found.length),
    );
    for (const { shard, kinds, corrupt } of some) {
      shards.push(shard);
      seen.merge(kinds);
      listed.add(corrupt);
    }
  }
  const corrupt = listed.list;
  const examples = shards.reduce((sum, { examples }) => sum + examples, 0);
  if (examples === 0) {
    const first = corrupt[0];
    const named = `an example is an image and a ${memberName(metaExtension(read))} member of one name`;
    throw new RunnerError(
      'DataContract',
      `data: no example in the ${counted(shards.length, 'shard')} below ${prefix}/: ${named}` +
        (first ? ` (${first.shard}, ${first.name}: ${first.reason})` : '') +
        (seen.words === null ? '' : `; they have ${seen.words}; ${howToLook(prefixes[0]!)}`),
    );
  }
  const fingerprint = fingerprintOf(names ? [...found, names.file] : found);
  const how = { ...(read && { read }), ...(pixels.length > 0 && { pixels }) };
  return openIndex({ version: 2, prefix, fingerprint, examples, shards, corrupt, ...how }, store);
}

/** The shards of several places in their order, and how they are read. */
export async function shardsOf(store: ObjectStore, place: string | readonly string[], mapping?: MappingSettings) {
  const prefixes = typeof place === 'string' ? [place] : place;
  const names = mapping?.classnames === undefined ? null : await readClassnames(store, mapping.classnames);
  const read = mapping && mappingOf(mapping, names?.classnames);
  const found = (await pMap(prefixes, (prefix) => shardsBelow(store, prefix), { concurrency: 4 })).flat();
  found.sort((a, b) => (a.key < b.key ? -1 : 1));
  return { prefixes, found, names, read };
}

/** Of each shard what its index says, which is made where there is none. */
async function factsOf(
  store: ObjectStore,
  shards: readonly ObjectInfo[],
  read: Mapping | undefined,
  pixels: readonly PixelKind[],
  onMade: (indexed: number) => void,
): Promise<IndexFacts[]> {
  const facts = await pMap(shards, (shard) => findIndex(store, shard, read, pixels), { concurrency: askedAtOnce });
  let indexed = facts.filter((one) => one !== null).length;
  return pMap(
    facts,
    async (one, i) => {
      if (one) return one;
      const made = await indexShard(store, shards[i]!, read, pixels);
      onMade(++indexed);
      return made;
    },
    { concurrency: madeAtOnce },
  );
}

/** What a person does about data that are not read as they are. */
export const howToLook = (prefix: string) => `npm run siglip2 -- data look ${prefix} says how they can be read`;

/** Shards below a prefix, by their keys. DataContract, with what lies there, where there is none. */
export async function shardsBelow(store: ObjectStore, prefix: string): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  let packed: string | null = null;
  const seen = new KindsSeen();
  for await (const info of store.list(`${prefix.replace(/\/+$/, '')}/`)) {
    if (info.key.endsWith('.tar')) found.push(info);
    else if (/\.(tar\.\w+|tgz)$/.test(info.key)) packed ??= info.key;
    seen.add(info.key);
  }
  if (found.length > 0) return found;
  const hint = prefix.endsWith('.tar')
    ? 'name the folder that it lies in'
    : packed !== null
      ? `${printable(packed)} is compressed: unpack it`
      : seen.words === null
        ? `look with aws s3 ls s3://${store.bucket}/${prefix}/${/^data\/emoji(\/|$)/.test(prefix) ? ', or have them made: npm run siglip2 -- dataset emoji' : ''}`
        : `what lies there is ${seen.words}; needed: WebDataset shards, tar files of pictures and their texts, as img2dataset writes them with --output_format webdataset`;
  throw new RunnerError('DataContract', `data: no .tar shards below ${prefix}/ in bucket ${store.bucket}; ${hint}`);
}

/** sha256 over the sorted (key, bytes, etag) of the shards: equal when the data is. */
export function fingerprintOf(shards: readonly { key: string; bytes: number; etag: string }[]): string {
  const lines = shards.map(({ key, bytes, etag }) => JSON.stringify([key, bytes, etag])).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/** What of the settings says how members are read: how texts are drawn is no part of an index. */
export function mappingOf(
  { captions, field, fields, language, languageField, class: of }: MappingSettings,
  classnames?: readonly string[],
): Mapping {
  return {
    captions,
    language,
    ...(field !== undefined && { field }),
    ...(fields && {
      fields: fields.map(({ field, language }) => ({ field, ...(language !== undefined && { language }) })),
    }),
    ...(languageField !== undefined && { languageField }),
    ...(of && { class: of }),
    ...(classnames && { classnames }),
  };
}
