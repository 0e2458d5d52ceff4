import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { Progress } from './progress.ts';
import { requireSha256 } from './verify.ts';

/** A host that does not answer within this is taken as not reachable: another route follows. */
const answerMs = 5_000;
const wholeMs = 10 * 60_000;

export interface Download {
  readonly url: string;
  readonly sha256: string;
  readonly file: string;
  readonly what: string;
}

/**
 * Downloads a file and checks it against its pin. False when the host can't be reached or has no such file; a
 * download that breaks off or has other bytes than the pinned ones is an error.
 */
export async function downloadFile(wanted: Download, progress: Progress): Promise<boolean> {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), answerMs);
  const answer = await fetch(wanted.url, { signal: stop.signal }).catch(() => null);
  clearTimeout(timer);
  if (!answer?.ok || !answer.body) {
    await answer?.body?.cancel();
    progress.say(`${wanted.what} can't be downloaded from its vendor here; taking the next way`);
    return false;
  }
  const body = Readable.fromWeb(answer.body as import('node:stream/web').ReadableStream);
  const total = Math.round(Number(answer.headers.get('content-length') ?? 0) / 1e6);
  const amount = async () => `${Math.round((await stat(wanted.file)).size / 1e6)} of ${total} MB`;
  await progress
    .during(
      `Downloading ${wanted.what}`,
      () => pipeline(body, createWriteStream(wanted.file), { signal: AbortSignal.timeout(wholeMs) }),
      amount,
    )
    .catch((cause) => {
      throw new RunnerError('SetupMissing', `the download of ${wanted.what} broke off; type the same command again`, {
        cause,
      });
    });
  await requireSha256(wanted.file, wanted.sha256);
  return true;
}
