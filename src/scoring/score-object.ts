import { createHash } from 'node:crypto';
import { readRange } from '../data/index/part-reader.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { ScoreFacts } from './score-file.ts';
import { readScoreHeader, scoresDamaged } from './score-header.ts';

const partBytes = 8 * 1024 * 1024;

/**
 * What lies at the key of a file of scores, read whole and verified by its own header; null when nothing does.
 * DataContract when it is damaged, or is not what these facts make.
 */
export async function inspectScores(
  store: Pick<ObjectStore, 'bucket' | 'get' | 'head'>,
  key: string,
  facts: ScoreFacts,
): Promise<{ bytes: number; etag: string; corrupt: number } | null> {
  const info = await store.head(key);
  if (info === null) return null;
  const { bytes, etag } = info;
  const { offset, dataSha256, corrupt } = await readScoreHeader(store, { key, bytes, etag }, facts);
  const data = createHash('sha256');
  for (let at = 0; at < bytes; at += partBytes) {
    const part = await readRange(store, { key, bytes, etag }, at, Math.min(partBytes, bytes - at));
    data.update(part.subarray(Math.max(0, offset - at)));
  }
  const found = data.digest('hex');
  if (found !== dataSha256)
    throw scoresDamaged(store, key, `holds data of sha256 ${found}, and ${dataSha256} was written`);
  return { bytes, etag, corrupt: corrupt.length };
}
