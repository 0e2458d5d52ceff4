import type { ObjectStore } from '../storage/object-store.ts';
import { toDocument } from './documents.ts';
import { type PhaseKey, parseWorkKey, runPrefix, workKey } from './keys.ts';

/**
 * The bucket's own sign that someone is at work on a run, for who wants to delete: a Temporal that was set up anew, or
 * another one, knows nothing of attempts that go on.
 */

const everyMs = 20_000;
/** An attempt that was not heard of for so long is taken as dead. */
export const silentMs = 2 * 60_000;

/** Does something, and says meanwhile that an attempt is at it. The sign is for people: nothing fails over it. */
export async function atWork<T>(
  store: ObjectStore,
  at: PhaseKey & { attempt: string },
  work: () => Promise<T>,
): Promise<T> {
  const key = workKey(at);
  let said: Promise<unknown> = Promise.resolve();
  const say = () => {
    said = said
      .then(() => store.put(key, toDocument({ version: 1 }), { contentType: 'application/json' }))
      .catch(() => {});
  };
  say();
  const timer = setInterval(say, everyMs);
  timer.unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await said;
    await store.purge(key).catch(() => {});
  }
}

export interface AtWork extends PhaseKey {
  readonly attempt: string;
  readonly secondsAgo: number;
}

/** Attempts at a run that were heard of just now. */
export async function whoIsAtWork(store: ObjectStore, run: string): Promise<AtWork[]> {
  const found: AtWork[] = [];
  for await (const { key, modified } of store.list(runPrefix(run))) {
    const at = parseWorkKey(key);
    const ago = Date.now() - modified.getTime();
    if (at && ago < silentMs) found.push({ ...at, secondsAgo: Math.max(0, Math.round(ago / 1000)) });
  }
  return found;
}
