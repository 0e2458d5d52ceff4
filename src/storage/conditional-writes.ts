import { randomUUID } from 'node:crypto';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { ObjectInfo, ObjectStore, PutOptions } from './object-store.ts';

const probes = 'runs/.probe-';
/** No probe takes so long: whoever made one that old was killed over it. */
const leftMs = 3_600_000;

/**
 * Tries the two conditional writes that commits rest on, with a small object of its own. A store that takes
 * a write whose condition fails would let two attempts commit the same step: `ConditionalWritesMissing`. What it
 * refuses whatever the condition is told in its own words.
 */
export async function probeConditionalWrites(store: ObjectStore): Promise<void> {
  const key = `${probes}${randomUUID()}`;
  try {
    const etag = await write('If-None-Match', 'first', { ifAbsent: true });
    await mustLose('If-None-Match', 'second', { ifAbsent: true });
    const newer = await write('If-Match', 'third', { ifMatch: etag });
    if (newer !== etag) await mustLose('If-Match', 'fourth', { ifMatch: etag });
    await removeLeft();
    await store.purge(key);
  } catch (error) {
    // What went wrong first is what counts; a store that is away is not waited for, the next probe removes it.
    if (!isRunnerError(error, 'StorageUnavailable')) await store.purge(key).catch(() => {});
    throw error;
  }

  /** A write whose condition holds. */
  async function write(header: string, body: string, condition: PutOptions): Promise<string> {
    try {
      return (await store.put(key, body, condition)).etag;
    } catch (error) {
      if (isRunnerError(error, 'PreconditionFailed')) {
        // Its answer may have been lost, so that its next try met its own object.
        const found = await store.head(key);
        if (found && String(await store.get(key)) === body) return found.etag;
        throw missing(`refuses a write whose ${header} holds`, error);
      }
      if (!isRunnerError(error, 'StorageRefused')) throw error;
      // A store that refuses this as well has nothing against conditions.
      await store.put(key, body);
      throw missing(`does not know ${header} (${words(error)})`, error);
    }
  }

  async function mustLose(header: string, body: string, condition: PutOptions): Promise<void> {
    try {
      await store.put(key, body, condition);
    } catch (error) {
      if (isRunnerError(error, 'PreconditionFailed')) return;
      throw isRunnerError(error, 'StorageRefused')
        ? missing(`does not know ${header} (${words(error)})`, error)
        : error;
    }
    throw missing(`ignores ${header}`);
  }

  /** What killed probes left. Ages are by the store's clock, which made ours just now. */
  async function removeLeft(): Promise<void> {
    const found: ObjectInfo[] = [];
    for await (const one of store.list(probes)) found.push(one);
    const now = found.find((one) => one.key === key)?.modified.getTime() ?? 0;
    for (const one of found) if (now - one.modified.getTime() > leftMs) await store.purge(one.key);
  }

  function missing(what: string, cause?: unknown): RunnerError {
    return new RunnerError(
      'ConditionalWritesMissing',
      `the store of bucket ${store.bucket} ${what}, so two workers could both commit one step; use a store with conditional writes (AWS S3, versitygw, MinIO, Ceph, Cloudflare R2)`,
      { cause },
    );
  }
}

/** What the store said, without what to set. */
const words = (error: RunnerError): string => error.message.split('; ', 1)[0]!;
