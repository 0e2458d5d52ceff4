import { randomUUID } from 'node:crypto';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from './object-store.ts';

/**
 * Tries the two conditional writes that commits rest on, with a small object of its own. A store that takes
 * a write whose condition fails would let two attempts commit the same step: `ConditionalWritesMissing`.
 */
export async function probeConditionalWrites(store: ObjectStore): Promise<void> {
  const key = `runs/.probe-${randomUUID()}`;
  const { etag } = await attempt('If-None-Match', store.put(key, 'first', { ifAbsent: true }));
  try {
    await mustLose('If-None-Match', store.put(key, 'second', { ifAbsent: true }));
    const { etag: newer } = await attempt('If-Match', store.put(key, 'third', { ifMatch: etag }));
    if (newer !== etag) await mustLose('If-Match', store.put(key, 'fourth', { ifMatch: etag }));
  } finally {
    await store.delete(key);
  }

  async function mustLose(header: string, write: Promise<unknown>) {
    try {
      await write;
    } catch (error) {
      if (isRunnerError(error, 'PreconditionFailed')) return;
      throw error;
    }
    throw missing(header);
  }

  async function attempt<T>(header: string, write: Promise<T>): Promise<T> {
    try {
      return await write;
    } catch (error) {
      // A server that knows the header, but not how to do it, says 501; some say 400.
      const status = (error as { cause?: { $metadata?: { httpStatusCode?: number } } }).cause?.$metadata
        ?.httpStatusCode;
      throw status === 501 || isRunnerError(error, 'StorageRefused') ? missing(header, error) : error;
    }
  }

  function missing(header: string, cause?: unknown): RunnerError {
    return new RunnerError(
      'ConditionalWritesMissing',
      `the store of bucket ${store.bucket} ignores ${header}, so two workers could both commit one step; use a store with conditional writes (AWS S3, versitygw, MinIO, Ceph, Cloudflare R2)`,
      { cause },
    );
  }
}
