import { isRunnerError } from '../../runtime/errors.ts';
import { answerOf } from '../answer.ts';
import type { S3ObjectStore } from '../s3.ts';

/** Where a check works. Each has a prefix of its own, so that none meets what another one left. */
export interface Bench {
  readonly store: S3ObjectStore;
  /** The same bucket: files above 5 MiB go in parts of 5 MiB, and a list comes in pages of three. */
  readonly small: S3ObjectStore;
  /** Key of this check alone. */
  key(name: string): string;
  /** File of these bytes on the local disk. */
  file(bytes: Buffer): Promise<string>;
}

export const groups = [
  'objects',
  'ranges',
  'keys',
  'conditions',
  'parts',
  'copies',
  'lists',
  'checksums',
  'bucket',
] as const;
export type Group = (typeof groups)[number];

/** One property of a store, as a sentence that holds where it passes. */
export interface Check {
  readonly group: Group;
  readonly what: string;
  /** What would not work without it, in words for who trains; undefined where runs do without, and it is only told. */
  readonly without?: string;
  /** A figure to tell beside it, if there is one. Throws CheckFailed, or what the store threw. */
  run(bench: Bench): Promise<string | undefined>;
}

/** What was found in place of what was to be. */
export class CheckFailed extends Error {
  override readonly name = 'CheckFailed';
}

export function must(holds: boolean, found: string): asserts holds {
  if (!holds) throw new CheckFailed(found);
}

export function mustBeSame(got: Buffer, wanted: Buffer): void {
  must(got.length === wanted.length, `${got.length} bytes came back for ${wanted.length}`);
  must(got.equals(wanted), 'other bytes came back than were written');
}

/** Lets an operation lose its condition: PreconditionFailed and nothing else. */
export async function mustLose(write: Promise<unknown>, what: string): Promise<void> {
  try {
    await write;
  } catch (error) {
    if (isRunnerError(error, 'PreconditionFailed')) return;
    throw error;
  }
  throw new CheckFailed(`${what} was taken`);
}

/** Lets a request be refused by the server, in whatever words. */
export async function mustBeRefused(request: Promise<unknown>, what: string): Promise<void> {
  const taken = await request.then(
    () => true,
    (error) => {
      const { status = 0 } = answerOf(error);
      if (status < 400 || status >= 500) throw error;
      return false;
    },
  );
  must(!taken, `${what} was taken`);
}

export async function keysUnder(store: S3ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}
