import { statfs } from 'node:fs/promises';
import { number } from './count-text.ts';
import { RunnerError } from './errors.ts';

const full = new Set(['ENOSPC', 'EDQUOT']);

/** A write that failed for want of space becomes `DiskFull`; everything else stays what it is. */
export function diskError(error: unknown, path: string): unknown {
  if (!full.has((error as NodeJS.ErrnoException)?.code ?? '')) return error;
  return new RunnerError(
    'DiskFull',
    `the disk is full: could not write ${path}; free space there and start it again, then it goes on where it was`,
    {
      cause: error,
    },
  );
}

/** `DiskFull` before anything is written when `bytes` will not fit below `folder`. */
export async function requireSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw new RunnerError(
    'DiskFull',
    `${megabytes(bytes)} are needed in ${folder} and ${megabytes(free)} are free; free space there, or name another folder`,
    { details: { needed: bytes, free } },
  );
}

function megabytes(bytes: number): string {
  return `${number(Math.ceil(bytes / 1e6))} MB`;
}
