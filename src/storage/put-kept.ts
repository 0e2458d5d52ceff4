import { isRunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from './object-store.ts';

/**
 * Puts an object that has the same bytes whoever makes it. One that is there and whole is left alone, with the ETag that others
 * may hold: with SSE-KMS the same bytes get another one each time. What is damaged is replaced.
 */
export async function putSame(store: Pick<ObjectStore, 'get' | 'put'>, key: string, bytes: Buffer): Promise<void> {
  try {
    await store.put(key, bytes, { ifAbsent: true });
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    if (!(await bytesOf(store, key))?.equals(bytes)) await store.put(key, bytes);
  }
}

/**
 * Puts an object whose last bits hang on the machine that made it: the first one stays, since others may have read it. One of
 * another size is damaged, and is replaced.
 */
export async function putFirst(store: Pick<ObjectStore, 'head' | 'put'>, key: string, bytes: Buffer): Promise<void> {
  try {
    await store.put(key, bytes, { ifAbsent: true });
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    if ((await store.head(key))?.bytes !== bytes.length) await store.put(key, bytes);
  }
}

/** Null where it went meanwhile, or the store itself calls it damaged. */
async function bytesOf(store: Pick<ObjectStore, 'get'>, key: string): Promise<Buffer | null> {
  try {
    return await store.get(key);
  } catch (error) {
    if (isRunnerError(error, 'ObjectMissing') || isRunnerError(error, 'DataContract')) return null;
    throw error;
  }
}
