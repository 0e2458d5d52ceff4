import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isRunnerError, RunnerError } from '../../runtime/errors.ts';
import { answerOf } from '../answer.ts';
import type { ObjectInfo } from '../object-store.ts';
import type { S3ObjectStore } from '../s3.ts';
import { checks as allChecks } from './all.ts';
import { type Check, CheckFailed } from './check.ts';

export interface CheckResult extends Pick<Check, 'group' | 'what' | 'without'> {
  readonly outcome: 'pass' | 'fail';
  /** A figure of one that passed, or what was found in one that did not. */
  readonly found?: string;
  readonly ms: number;
}

const name = '.check-store-';
/** No check takes so long: whoever left one that old was killed over it. */
const leftMs = 3_600_000;

/** A folder of the bucket that nobody else has. RecipeInvalid for what is no place in a bucket. */
export function checkPrefix(below: string): string {
  if (/^\/|\/\/|(^|\/)\.\.?(\/|$)|\p{Cc}/u.test(below) || below.length > 200)
    throw new RunnerError(
      'RecipeInvalid',
      `--prefix is ${JSON.stringify(below.slice(0, 200))}; allowed: where keys begin, such as runs/ or trial, without / at its start`,
    );
  return `${below}${below === '' || below.endsWith('/') ? '' : '/'}${name}${randomUUID()}/`;
}

/**
 * Runs checks one after the other, each below a prefix of its own, and leaves nothing behind, also when `signal` ends it
 * after the check that it is at. StorageUnavailable when the store went away meanwhile. Most of the time is that of about 900 requests and 120 MiB.
 *
 * @param small the same bucket, with parts of 5 MiB above 5 MiB and pages of three keys
 */
export async function* runChecks(
  stores: { readonly store: S3ObjectStore; readonly small: S3ObjectStore },
  prefix: string,
  { checks = allChecks, signal }: { checks?: readonly Check[]; signal?: AbortSignal } = {},
): AsyncGenerator<CheckResult> {
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-check-store-'));
  let files = 0;
  const file = async (bytes: Buffer) => {
    const path = join(folder, String(files++));
    await writeFile(path, bytes);
    return path;
  };
  try {
    for (const [index, check] of checks.entries()) {
      if (signal?.aborted) return;
      const own = `${prefix}${String(index).padStart(2, '0')}/`;
      const began = Date.now();
      const { group, what, without } = check;
      const common = { group, what, ...(without === undefined ? {} : { without }) };
      try {
        const found = await check.run({ ...stores, key: (of) => own + of, file });
        yield { ...common, outcome: 'pass', ...(found === undefined ? {} : { found }), ms: Date.now() - began };
      } catch (error) {
        const found = sentence(error);
        // A store that is away fails all of them, slowly.
        if (isRunnerError(error, 'StorageUnavailable')) await stores.store.head(`${prefix}here`);
        yield { ...common, outcome: 'fail', found, ms: Date.now() - began };
      }
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
    await clean(stores.store, prefix);
  }
}

/** In the words of a store, or of ours; what is a fault of this program is thrown. */
function sentence(error: unknown): string {
  if (error instanceof CheckFailed || error instanceof RunnerError) return error.message;
  const { status, code, system, words } = answerOf(error);
  if (status === undefined && system === undefined && !/Timeout/.test(code)) throw error;
  return `it was answered by ${[status, code || system].filter(Boolean).join(' ')}${words ? `: ${words}` : ''}`;
}

/** Deletes all below a prefix for good, unfinished uploads too. */
export async function clean(store: S3ObjectStore, prefix: string): Promise<void> {
  for await (const upload of store.listUploads(prefix)) await store.abortUpload(upload);
  const keys = new Set<string>();
  for await (const { key } of store.list(prefix)) keys.add(key);
  for await (const key of store.listVersioned(prefix)) keys.add(key);
  const waiting = [...keys];
  const one = async () => {
    for (let key = waiting.pop(); key !== undefined; key = waiting.pop()) await store.purge(key);
  };
  await Promise.all(Array.from({ length: 8 }, one));
}

/** Cleans what checks left that were killed. Ages are by the store's clock, which made `now`. */
export async function cleanLeft(store: S3ObjectStore, below: string, own: string): Promise<void> {
  const all = checkPrefix(below).slice(0, -'/'.length - randomUUID().length);
  const found: ObjectInfo[] = [];
  for await (const one of store.list(all)) found.push(one);
  const newest = Math.max(
    0,
    ...found.filter(({ key }) => key.startsWith(own)).map(({ modified }) => modified.getTime()),
  );
  const prefixes = new Map<string, number>();
  for (const { key, modified } of found) {
    const prefix = key.slice(0, key.indexOf('/', all.length) + 1);
    prefixes.set(prefix, Math.max(prefixes.get(prefix) ?? 0, modified.getTime()));
  }
  for (const [prefix, last] of prefixes) if (newest - last > leftMs) await clean(store, prefix);
}
