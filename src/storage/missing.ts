import { isRunnerError } from '../runtime/errors.ts';

/** Null for what is missing. */
export const orNull = <T>(asked: Promise<T>): Promise<T | null> =>
  asked.catch((error) => {
    if (!isRunnerError(error, 'ObjectMissing')) throw error;
    return null;
  });

/** A missing object is asked for twice: on one wrong 404 things would be deleted, or counted as damaged. */
export const unlessMissing = async <T>(look: () => Promise<T | null>): Promise<T | null> => (await look()) ?? look();
