import { isRunnerError } from '../runtime/errors.ts';
import { probeConditionalWrites } from '../storage/conditional-writes.ts';
import { objectStoreFromEnvironment, type S3ObjectStore } from '../storage/s3.ts';

/**
 * The store of the environment, after the probe that a run makes: what it lacks or refuses is told before anything is
 * done. Whoever may only read can still do what needs no more.
 */
export async function openStore({ reads = false } = {}): Promise<S3ObjectStore> {
  const store = objectStoreFromEnvironment();
  await probeConditionalWrites(store).catch((error) => {
    if (!reads || !isRunnerError(error, 'CredentialsRefused')) throw error;
  });
  return store;
}
