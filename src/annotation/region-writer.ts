import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { largestHeader, type RegionHeader, readRegionHeader, verifyRegions } from '../data/index/region-file.ts';
import type { SkippedSummary } from '../data/index/types.ts';
import { RunnerError } from '../runtime/errors.ts';
import { canonicalJson, hashFile } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { Annotated } from './annotate-examples.ts';
import { type AnnotationCounts, ShardCounts } from './counts.ts';

/** What a first line says beyond that which training needs. */
interface OwnHeader extends RegionHeader {
  readonly counts: AnnotationCounts;
  readonly broken: SkippedSummary | null;
}

export interface WrittenRegions {
  readonly path: string;
  readonly sha256: string;
  readonly bytes: number;
  readonly counts: AnnotationCounts;
  readonly broken: SkippedSummary | null;
}

const bufferedBytes = 1024 * 1024;

/** Writes the regions of a shard to a local file in `folder`, as they come: memory does not grow with them. */
export async function writeRegions(
  folder: string,
  of: Pick<RegionHeader, 'shard' | 'annotation'>,
  examples: AsyncIterable<Annotated>,
): Promise<WrittenRegions> {
  const [lines, path] = [join(folder, 'lines.jsonl'), join(folder, 'regions.jsonl')];
  const body = await open(lines, 'w');
  const tally = new ShardCounts();
  let written: Pick<RegionHeader, 'body' | 'examples' | 'regions'>;
  try {
    written = await writeLines(body, examples, tally);
  } finally {
    await body.close();
  }
  const { counts, broken } = tally;
  const { key, bytes, etag } = of.shard;
  const header: OwnHeader = {
    version: 1,
    shard: { key, bytes, etag },
    annotation: of.annotation,
    ...written,
    counts,
    broken,
  };
  const first = `${canonicalJson(header)}\n`;
  if (Buffer.byteLength(first) > largestHeader) throw new Error(`the first line of ${key} is too long`);
  async function* whole() {
    yield Buffer.from(first);
    yield* createReadStream(lines, { highWaterMark: bufferedBytes });
  }
  await pipeline(Readable.from(whole()), createWriteStream(path));
  const { sha256 } = (await hashFile(path))!;
  return { path, sha256, bytes: (await stat(path)).size, counts, broken };
}

async function writeLines(file: FileHandle, all: AsyncIterable<Annotated>, tally: ShardCounts) {
  const hash = createHash('sha256');
  let [bytes, examples, regions, text] = [0, 0, 0, ''];
  const flush = async () => {
    const part = Buffer.from(text);
    text = '';
    hash.update(part);
    bytes += part.length;
    await file.write(part);
  };
  for await (const one of all) {
    tally.add(one);
    if ('corrupt' in one || one.regions.length === 0) continue;
    examples++;
    regions += one.regions.length;
    const boxes = one.regions.map(({ caption, box, score }) => ({ caption, box, score }));
    text += `${JSON.stringify({ name: one.name, regions: boxes })}\n`;
    if (text.length >= bufferedBytes) await flush();
  }
  await flush();
  return { examples, regions, body: { bytes, sha256: hash.digest('hex') } };
}

/**
 * What lies where the regions of a shard belong, read whole and verified by its own first line; null when nothing does.
 * DataContract where it is damaged, or was made of other bytes or with other settings.
 */
export async function inspectRegions(
  store: Pick<ObjectStore, 'bucket' | 'get' | 'head'>,
  key: string,
  shard: RegionHeader['shard'],
  annotation: string,
): Promise<{ key: string; bytes: number; counts: AnnotationCounts; broken: SkippedSummary | null } | null> {
  const file = await store.head(key);
  if (file === null) return null;
  const { header, line, offset } = await readRegionHeader(store, file);
  const other =
    header.shard.etag !== shard.etag || header.shard.key !== shard.key
      ? `of a ${shard.key} that was replaced since`
      : header.annotation !== annotation
        ? 'made with another detector or other settings'
        : null;
  if (other !== null)
    throw new RunnerError(
      'DataContract',
      `s3://${store.bucket}/${key} has regions ${other}: name another prefix for these, or delete it`,
    );
  await verifyRegions(store, file, header, offset);
  const { counts, broken } = line as unknown as OwnHeader;
  return { key, bytes: file.bytes, counts, broken };
}
