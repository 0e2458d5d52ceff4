import { createHash } from 'node:crypto';
import { RunnerError } from '../../runtime/errors.ts';
import { isRecord } from '../../runtime/json-text.ts';
import type { ObjectStore } from '../../storage/object-store.ts';
import { partBytes, type RemoteShard, readRange } from './part-reader.ts';

/**
 * Regions that a detector found in the pictures of one data shard: lines of JSON. The first says what they are of; each of
 * the others is an example that has some, {"name": "0001", "regions": [{"caption", "box", "score"}]}, in the order of
 * the shard. `name` is that of the members.
 */
export interface RegionHeader {
  readonly version: 1;
  /** The data shard: boxes belong to these bytes alone. */
  readonly shard: { readonly key: string; readonly bytes: number; readonly etag: string };
  /** sha256 of everything else that the lines depend on. */
  readonly annotation: string;
  /** Examples with regions: lines behind the first. */
  readonly examples: number;
  readonly regions: number;
  /** Of the lines behind the first. */
  readonly body: { readonly bytes: number; readonly sha256: string };
}

/** Of that many bytes a header is one, with what a writer adds to it for people. */
export const largestHeader = 64 * 1024;
/** Nearly all are smaller: 10,000 shards are planned with by reading 40 MB. */
const usualHeader = 4 * 1024;

/** Where the regions of a data shard lie below a prefix. */
export const regionKey = (prefix: string, shard: string): string =>
  `${prefix}/${shard.replace(/\.tar$/, '')}.regions.jsonl`;

/** The first line of a file of regions, and the byte behind it. DataContract where it is none. */
export async function readRegionHeader(
  store: Pick<ObjectStore, 'bucket' | 'get'>,
  file: RemoteShard,
): Promise<{
  readonly header: RegionHeader;
  readonly line: Readonly<Record<string, unknown>>;
  readonly offset: number;
}> {
  const read = (bytes: number) => readRange(store, file, 0, Math.min(file.bytes, bytes));
  let start = await read(usualHeader);
  if (!start.includes(10)) start = await read(largestHeader);
  const end = start.indexOf(10);
  const line = end < 0 ? null : parsed(start.toString('utf8', 0, end));
  if (!line || !isHeader(line) || end + 1 + line.body.bytes !== file.bytes)
    throw new RunnerError(
      'DataContract',
      `s3://${store.bucket}/${file.key} is no file of regions, or was cut short: delete it, and npm run siglip2 -- data annotate makes it anew`,
    );
  return { header: line as unknown as RegionHeader, line, offset: end + 1 };
}

/** Reads the lines behind the first whole. DataContract where they are not those that were written. */
export async function verifyRegions(
  store: Pick<ObjectStore, 'bucket' | 'get'>,
  file: RemoteShard,
  { body }: RegionHeader,
  offset: number,
): Promise<void> {
  const hash = createHash('sha256');
  for (let at = offset; at < file.bytes; at += partBytes)
    hash.update(await readRange(store, file, at, Math.min(partBytes, file.bytes - at)));
  if (hash.digest('hex') === body.sha256) return;
  throw new RunnerError(
    'DataContract',
    `s3://${store.bucket}/${file.key} is damaged: its lines have another sha256 than its first line says; delete it, and npm run siglip2 -- data annotate makes it anew`,
  );
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

function isHeader(value: Record<string, unknown>): value is Record<string, unknown> & Pick<RegionHeader, 'body'> {
  const { version, shard, annotation, examples, regions, body } = value;
  const counts = [examples, regions].every((count) => Number.isSafeInteger(count) && Number(count) >= 0);
  return (
    version === 1 &&
    counts &&
    typeof annotation === 'string' &&
    isRecord(shard) &&
    typeof shard.key === 'string' &&
    typeof shard.etag === 'string' &&
    isRecord(body) &&
    Number.isSafeInteger(body.bytes) &&
    typeof body.sha256 === 'string'
  );
}
