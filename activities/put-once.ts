import { isRunnerError } from '../src/runtime/errors.ts';

/**
 * The result of a write that counts only where nothing was before it: where another attempt was first, or the answer to
 * this one's own write was lost, what is there; the refusal where that can't be used.
 */
export async function putOnce<T>(put: () => Promise<T>, there: () => Promise<T | null>): Promise<T> {
  try {
    return await put();
  } catch (error) {
    const other = isRunnerError(error, 'PreconditionFailed') ? await there() : null;
    if (other) return other;
    throw error;
  }
}
