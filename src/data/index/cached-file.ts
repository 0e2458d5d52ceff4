import { createHash } from 'node:crypto';
import { RunnerError } from '../../runtime/errors.ts';
import { partBytes, type RemoteShard, type ShardStore } from './part-reader.ts';
import type { ByteRange } from './types.ts';

/** Name of its file: by all that its bytes are. */
export function fileNameOf({ key, bytes, etag, parts }: RemoteShard, bucket: string): string {
  const identity = [bucket, key, bytes, etag];
  const named = JSON.stringify(parts ? [...identity, parts.map(({ offset, size }) => [offset, size])] : identity);
  const hash = createHash('sha256').update(named).digest('hex').slice(0, 40);
  return `${hash}.${parts ? 'range' : 'tar'}`;
}

/** Whether a name is that of such a file. */
export const isCachedFile = (name: string): boolean => /\.(tar|range)$/.test(name);

/** Bytes of its file. */
export const sizeOf = ({ bytes, parts }: RemoteShard) => parts?.reduce((sum, { size }) => sum + size, 0) ?? bytes;

/** That of the file; what the shard has is of all its bytes. */
export const sha256Of = ({ sha256, parts }: RemoteShard) => (parts ? undefined : sha256);

/** Where bytes of a shard lie in its file. */
export function placeOf({ key, parts }: RemoteShard, offset: number, size: number): number {
  if (!parts) return offset;
  let before = 0;
  for (const part of parts) {
    if (offset >= part.offset && offset + size <= part.offset + part.size) return before + offset - part.offset;
    before += part.size;
  }
  throw new RangeError(`bytes ${offset} to ${offset + size} of ${key} are in no part of it that is wanted`);
}

/** What is asked for at once, in order. */
export function* piecesOf({ bytes, parts = [{ offset: 0, size: bytes }] }: RemoteShard): Generator<ByteRange> {
  for (const { offset, size } of parts)
    for (let done = 0; done < size; done += partBytes)
      yield { offset: offset + done, size: Math.min(partBytes, size - done) };
}

export function otherBytes({ bucket }: ShardStore, { key, sha256 }: RemoteShard, found: string): RunnerError {
  return new RunnerError(
    'DataContract',
    `s3://${bucket}/${key} is damaged: it has the sha256 ${found}, and ${sha256} is wanted; put back what it was, or cancel the run and start it again, which plans it with what is there`,
    { details: { object: key } },
  );
}

export function diskError(error: unknown, { key, bytes }: RemoteShard, folder: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const what = `no room for shard ${key} (${bytes} bytes) in ${folder}`;
    return new RunnerError('DiskFull', `${what}: free some, or set SIGLIP2_SCRATCH to a larger disk`, { cause: error });
  }
  if (code === 'EACCES' || code === 'EROFS' || code === 'ENOTDIR') {
    const what = `folder ${folder} for downloaded shards can't be written (${code})`;
    return new RunnerError('SetupMissing', `${what}: set SIGLIP2_SCRATCH to one that can`, { cause: error });
  }
  return error;
}
