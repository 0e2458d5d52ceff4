import { packKeys } from '../src/packing/keys.ts';
import type { PackSettings } from '../src/packing/settings.ts';
import type { Listing, Part } from '../src/packing/types.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import { sha256 } from '../src/runtime/hash.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';

/** What workers hand to one another below the prefix of a pack. */
type Reads = Pick<ObjectStore, 'get' | 'bucket'>;

/** A document of a pack; null when it is not there. */
export async function readPackJson<T>(store: Reads, key: string): Promise<T | null> {
  try {
    return JSON.parse((await store.get(key)).toString('utf8')) as T;
  } catch (error) {
    if (isRunnerError(error, 'ObjectMissing')) return null;
    if (!(error instanceof SyntaxError)) throw error;
    throw new RunnerError(
      'DataContract',
      `s3://${store.bucket}/${key} is no JSON: another prefix, or take away what lies there`,
    );
  }
}

/** One that an earlier step wrote. */
export async function requirePackJson<T>(store: Reads, key: string): Promise<T> {
  const found = await readPackJson<T>(store, key);
  if (found) return found;
  throw new RunnerError(
    'DataContract',
    `s3://${store.bucket}/${key} is gone: take away all that lies beside it, and start the pack again`,
  );
}

export const readListing = (store: Reads, { to }: PackSettings): Promise<Listing> =>
  requirePackJson(store, packKeys(to).listing);

/** A part as it was listed, with its sha256. */
export async function readPartOf(
  store: Reads,
  { to }: PackSettings,
  part: number,
): Promise<{ part: Part; sha256: string }> {
  const bytes = await store.get(packKeys(to).part(part));
  return { part: JSON.parse(bytes.toString('utf8')) as Part, sha256: sha256(bytes) };
}

/** The global number of the first item of each part, and the one behind the last. */
export function startsOf({ counts }: Listing): number[] {
  const starts = [0];
  for (const count of counts) starts.push(starts.at(-1)! + count);
  return starts;
}
