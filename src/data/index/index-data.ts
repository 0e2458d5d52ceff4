import { createHash } from 'node:crypto';
import pMap from 'p-map';
import { RunnerError } from '../../runtime/errors.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';
import { readClassnames } from './classnames.ts';
import { joinMembers, KindsSeen, memberName, metaExtension } from './members.ts';
import { openIndex } from './open-index.ts';
import { printable } from './printable.ts';
import { readShard } from './read-shard.ts';
import type { DataIndex, Mapping, ShardIndex } from './types.ts';

/** A mapping as a recipe has it: the names of classes lie in a file of the bucket. */
export interface MappingSettings extends Pick<Mapping, 'captions' | 'language'> {
  readonly field?: string | undefined;
  readonly class?: Mapping['class'] | undefined;
  /** Key of that file. */
  readonly classnames?: string | undefined;
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
): Promise<DataIndex> {
  const prefixes = typeof place === 'string' ? [place] : place;
  const names = mapping?.classnames === undefined ? null : await readClassnames(store, mapping.classnames);
  const read = mapping && mappingOf(mapping, names?.classnames);
  const found = (await pMap(prefixes, (prefix) => shardsBelow(store, prefix), { concurrency: 4 })).flat();
  found.sort((a, b) => (a.key < b.key ? -1 : 1));
  const prefix = prefixes.join(', ');
  const seen = new KindsSeen();
  const indexed = await pMap(found, (info) => indexShard(store, info, read, seen), { concurrency: 4 });
  const shards = indexed.map(({ shard }) => shard);
  const corrupt = indexed.flatMap(({ corrupt }) => corrupt);
  const examples = shards.reduce((sum, { examples }) => sum + examples.length, 0);
  if (examples === 0) {
    const first = corrupt[0];
    const named = `an example is an image and a ${memberName(metaExtension(read))} member of one name`;
    throw new RunnerError(
      'DataContract',
      `data: no example in the ${shards.length} shards below ${prefix}/: ${named}` +
        (first ? ` (${first.shard}, ${first.name}: ${first.reason})` : '') +
        (seen.words === null ? '' : `; they have ${seen.words}; ${howToLook(prefixes[0]!)}`),
    );
  }
  const fingerprint = fingerprintOf(names ? [...found, names.file] : found);
  return openIndex({ prefix, fingerprint, examples, shards, corrupt, ...(read && { read }) }, store);
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
        ? `look with aws s3 ls s3://${store.bucket}/${prefix}/`
        : `what lies there is ${seen.words}; needed: WebDataset shards, tar files of pictures and their texts, as img2dataset writes them with --output_format webdataset`;
  throw new RunnerError('DataContract', `data: no .tar shards below ${prefix}/ in bucket ${store.bucket}; ${hint}`);
}

/** sha256 over the sorted (key, bytes, etag) of the shards: equal when the data is. */
export function fingerprintOf(shards: readonly { key: string; bytes: number; etag: string }[]): string {
  const lines = shards.map(({ key, bytes, etag }) => JSON.stringify([key, bytes, etag])).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

async function indexShard(store: ObjectStore, info: ObjectInfo, read: Mapping | undefined, seen: KindsSeen) {
  const { key, bytes, etag } = info;
  const { members, sha256 } = await readShard(store, { key, bytes, etag });
  for (const member of members) if ('offset' in member) seen.add(member.name);
  const { examples, corrupt } = await joinMembers(key, members, read);
  const shard: ShardIndex = { key, bytes, etag, ...(sha256 !== undefined && { sha256 }), examples };
  return { shard, corrupt };
}

/** What of the settings says how members are read: how texts are drawn is no part of an index. */
export function mappingOf(
  { captions, field, language, class: of }: MappingSettings,
  classnames?: readonly string[],
): Mapping {
  return {
    captions,
    language,
    ...(field !== undefined && { field }),
    ...(of && { class: of }),
    ...(classnames && { classnames }),
  };
}
