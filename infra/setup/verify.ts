import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { RunnerError } from '../../src/runtime/errors.ts';

/** SHA-256 of a file, hexadecimal. */
export async function fileSha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Refuses a file whose bytes are not the pinned ones: half a download, or somebody else's. */
export async function requireSha256(path: string, expected: string): Promise<void> {
  const got = await fileSha256(path);
  if (got === expected) return;
  const { size } = await stat(path);
  throw new RunnerError(
    'SetupMissing',
    `${basename(path)} (${size} bytes) has SHA-256 ${got}, but ${expected} is pinned: the download is damaged or not the published file; it was not used, type the same command again`,
  );
}
