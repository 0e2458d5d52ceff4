import { setTimeout as delay } from 'node:timers/promises';
import { type ErrorCode, isRunnerError } from '../runtime/errors.ts';

/** What one wrong answer can look like: a 404 of a server that is behind, a byte that turned over on the way. */
const doubtful: readonly ErrorCode[] = ['CheckpointDamaged', 'ObjectMissing', 'DataContract'];
const pauseMs = 100;

/**
 * Looks once more before what is wrong with an object counts as damage of it: one bad answer must not cost a phase the
 * steps since an older checkpoint. `look` asks the store anew each time; what it throws the second time is believed.
 */
export async function lookAgain<T>(look: () => Promise<T>): Promise<T> {
  try {
    return await look();
  } catch (error) {
    if (!doubtful.some((code) => isRunnerError(error, code))) throw error;
    await delay(pauseMs);
    return look();
  }
}
