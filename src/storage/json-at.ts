import { isRunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from './object-store.ts';

/** The value of a JSON object of the bucket; null where there is none, and where it is no JSON. Other errors are thrown. */
export async function jsonAt(store: Pick<ObjectStore, 'get'>, key: string): Promise<unknown> {
  try {
    return JSON.parse((await store.get(key)).toString('utf8'));
  } catch (error) {
    if (isRunnerError(error, 'ObjectMissing') || error instanceof SyntaxError) return null;
    throw error;
  }
}
