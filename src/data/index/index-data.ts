import { createHash } from 'node:crypto';
import pMap from 'p-map';
import { RunnerError } from '../../runtime/errors.ts';
import { foreignKind, kindBytes } from '../../runtime/file-kind.ts';
import { turns } from '../../runtime/turns.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';
import { ForwardReader } from './forward-reader.ts';
import { printable, unprintable } from './printable.ts';
import { tarMembers } from './tar.ts';
import type { ByteRange, CorruptMember, DataIndex, ShardIndex } from './types.ts';

const imageExtensions: ReadonlySet<string> = new Set(['png', 'jpg', 'jpeg', 'webp', 'gif', 'avif', 'tif', 'tiff']);
const longestName = 512;

/**
 * Finds every example below one prefix or several (WebDataset shards, `*.tar`). Read errors are thrown, for the caller to try
 * again; faults of the data are listed in `corrupt`, and what is whole is used.
 */
export async function indexData(store: ObjectStore, place: string | readonly string[]): Promise<DataIndex> {
  const prefixes = typeof place === 'string' ? [place] : place;
  const found = (await pMap(prefixes, (prefix) => shardsBelow(store, prefix), { concurrency: 4 })).flat();
  found.sort((a, b) => (a.key < b.key ? -1 : 1));
  const prefix = prefixes.join(', ');
  const indexed = await pMap(found, (info) => indexShard(store, info), { concurrency: 4 });
  const shards = indexed.map(({ shard }) => shard);
  const corrupt = indexed.flatMap(({ corrupt }) => corrupt);
  const examples = shards.reduce((sum, { examples }) => sum + examples.length, 0);
  if (examples === 0) {
    const first = corrupt[0];
    throw new RunnerError(
      'DataContract',
      `data: no example in the ${shards.length} shards below ${prefix}/: an example is an image and a JSON member of one name` +
        (first ? ` (${first.shard}, ${first.name}: ${first.reason})` : ''),
    );
  }
  return { prefix, fingerprint: fingerprintOf(found), examples, shards, corrupt };
}

async function shardsBelow(store: ObjectStore, prefix: string): Promise<ObjectInfo[]> {
  const found: ObjectInfo[] = [];
  let packed: string | null = null;
  for await (const info of store.list(`${prefix.replace(/\/+$/, '')}/`)) {
    if (info.key.endsWith('.tar')) found.push(info);
    else if (/\.(tar\.\w+|tgz)$/.test(info.key)) packed ??= info.key;
  }
  if (found.length > 0) return found;
  const hint = prefix.endsWith('.tar')
    ? 'name the folder that it lies in'
    : packed === null
      ? `look with aws s3 ls s3://${store.bucket}/${prefix}/`
      : `${printable(packed)} is compressed: unpack it`;
  throw new RunnerError('DataContract', `data: no .tar shards below ${prefix}/ in bucket ${store.bucket}; ${hint}`);
}

/** sha256 over the sorted (key, bytes, etag) of the shards: equal when the data is. */
export function fingerprintOf(shards: readonly { key: string; bytes: number; etag: string }[]): string {
  const lines = shards.map(({ key, bytes, etag }) => JSON.stringify([key, bytes, etag])).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

async function indexShard(store: ObjectStore, { key, bytes, etag }: ObjectInfo) {
  const reader = new ForwardReader(store, { key, bytes, etag });
  const corrupt: CorruptMember[] = [];
  const refuse = (name: string, reason: string) => corrupt.push({ shard: key, name: printable(name), reason });
  const start = await reader.read(0, Math.min(bytes, kindBytes));
  const parts = new Map<string, { image?: ByteRange; meta?: ByteRange; fault?: string }>();
  const turn = turns();
  for await (const member of tarMembers((offset, size) => reader.read(offset, size), bytes)) {
    await turn();
    const kind = member.name === 'byte 0' ? foreignKind(start) : null;
    if (kind !== null) {
      refuse('byte 0', `the shard is no tar file: ${kind}`);
      return { shard: { key, bytes, etag, examples: [] } satisfies ShardIndex, corrupt };
    }
    const { name, extension } = splitName(member.name);
    const part = extension === 'json' ? 'meta' : imageExtensions.has(extension) ? 'image' : null;
    if (part === null) {
      if ('fault' in member) refuse(member.name, member.fault);
      continue;
    }
    // Both members of an example have their faults in one place: it is counted once.
    const known = name.length > 2 * longestName ? printable(name) : name;
    const own = parts.get(known) ?? {};
    parts.set(known, own);
    const fault = 'fault' in member ? member.fault : unsafe(member.name, name);
    if (fault !== null) own.fault ??= fault;
    else if (own[part]) own.fault ??= `more than one ${part === 'meta' ? 'JSON' : 'image'} member`;
    else if ('size' in member && member.size === 0) own.fault ??= `empty ${extension} member`;
    if (fault === null && 'offset' in member) own[part] ??= { offset: member.offset, size: member.size };
  }
  const examples: ShardIndex['examples'][number][] = [];
  for (const [name, { image, meta, fault }] of parts) {
    if (fault) refuse(name, fault);
    else if (!image || !meta) refuse(name, image ? 'no JSON member' : 'no image member');
    else examples.push({ name, image, meta });
  }
  return { shard: { key, bytes, etag, sha256: await reader.sha256(), examples } satisfies ShardIndex, corrupt };
}

/** WebDataset's rule: folder and base name up to the first dot, and the rest. */
function splitName(path: string): { name: string; extension: string } {
  const base = path.lastIndexOf('/') + 1;
  const dot = path.indexOf('.', base);
  const end = dot === -1 ? path.length : dot;
  return { name: path.slice(0, end).replace(/^(\.\/)+/, ''), extension: path.slice(end + 1).toLowerCase() };
}

/** Names are never used as paths here; but who reads reports and exports may, so odd ones are left out. */
function unsafe(path: string, name: string): string | null {
  const characters = path.length > longestName ? [...path].length : path.length;
  if (characters > longestName) return `name of ${characters} characters, at most ${longestName}`;
  if (name.length === 0) return 'name is empty';
  if (/^[/\\]|^[A-Za-z]:[/\\]/.test(path)) return 'name is an absolute path';
  if (path.includes('\\')) return 'name has a backslash';
  if (path.split('/').includes('..')) return 'name leads out of its folder';
  if (path.replace(unprintable, '') !== path)
    return 'name has control characters, or marks that turn the direction of text';
  return null;
}
