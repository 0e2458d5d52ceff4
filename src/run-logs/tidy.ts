import pMap from 'p-map';
import { isRunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { listSegments, type SegmentObject, segmentsOf } from './read.ts';
import { joinedKey, type Place, parseSegmentKey, segmentId, segmentKey } from './segment.ts';

export interface TidyLimits {
  /** What a place keeps; the oldest goes. */
  readonly keepBytes: number;
  /** More small objects than these are joined. */
  readonly looseObjects: number;
  /** How large objects become. Those of half of it are small no longer. */
  readonly joinedBytes: number;
  /** What is younger stays as it is: someone may follow it. */
  readonly settledMs: number;
}

/** A phase has some 300 objects at most by these, so that a listing of it is one request. */
const usual: TidyLimits = { keepBytes: 64_000_000, looseObjects: 200, joinedBytes: 1_000_000, settledMs: 600_000 };

type Store = Pick<ObjectStore, 'list' | 'get' | 'put' | 'purge'>;

/**
 * Joins the small objects of a place into larger ones, and takes away what is more than it keeps. Objects are joined as
 * they are, one after another; what was joined goes when the new object is there, and readers take a segment once
 * wherever it lies. So it may be killed at any time, and two may do it at once.
 */
export async function tidyLogs(store: Store, place: Place, limits: Partial<TidyLimits> = {}): Promise<void> {
  const { keepBytes, looseObjects, joinedBytes, settledMs } = { ...usual, ...limits };
  const listed = await listSegments(store, { run: place.run, phase: place.phase ?? undefined });
  const own = listed.filter(({ phase }) => phase === place.phase);
  const kept = await prune(store, place, own, keepBytes);
  const settled = Date.now() - settledMs;
  const small = kept.filter(({ bytes, modified }) => bytes < joinedBytes / 2 && modified.getTime() <= settled);
  if (small.length <= looseObjects) return;
  let some: SegmentObject[] = [];
  let bytes = 0;
  for (const object of small) {
    if (bytes + object.bytes > joinedBytes) {
      await join(store, place, some);
      [some, bytes] = [[], 0];
    }
    some.push(object);
    bytes += object.bytes;
  }
  await join(store, place, some);
}

async function prune(
  store: Store,
  place: Place,
  objects: readonly SegmentObject[],
  keepBytes: number,
): Promise<readonly SegmentObject[]> {
  let bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
  let gone = 0;
  while (bytes > keepBytes && gone < objects.length - 1) bytes -= objects[gone++]!.bytes;
  const kept = objects.slice(gone);
  const [first] = kept;
  if (gone === 0 || !first) return kept;
  // Told before it is done: a reader who sees less should also see why.
  const before = first.from - 1;
  const time = new Date(before).toISOString();
  const header = { ...place, segment: 1, worker: 'tidied', sequence: before, code: '' } as const;
  const text = `earlier lines are gone: a log keeps its last ${keepBytes / 1e6} MB`;
  const lines = [header, { time, level: 'warn', text }].map((line) => `${JSON.stringify(line)}\n`);
  await store.put(segmentKey(header, time), lines.join(''), { contentType: 'application/x-ndjson' });
  for (const { key } of objects.slice(0, gone)) await store.purge(key);
  return kept;
}

async function join(store: Store, place: Place, objects: readonly SegmentObject[]): Promise<void> {
  if (objects.length < 2) return;
  const bodies = await pMap(objects, ({ key }) => bodyOf(store, key), { concurrency: 8 });
  const ids = new Set<string>();
  const parts: string[] = [];
  const read: string[] = [];
  for (const [i, body] of bodies.entries()) {
    // Someone else has just joined it.
    if (body === null) continue;
    const inIt = segmentsOf(body).map(({ header }) => segmentId(header));
    read.push(objects[i]!.key);
    if (inIt.every((id) => ids.has(id))) continue;
    for (const id of inIt) ids.add(id);
    parts.push(body.endsWith('\n') ? body : `${body}\n`);
  }
  if (read.length < 2) return;
  const time = new Date(parseSegmentKey(read[0]!)!.from).toISOString();
  const key = joinedKey(place, time, [...ids]);
  await store.put(key, parts.join(''), { contentType: 'application/x-ndjson' });
  for (const part of read) if (part !== key) await store.purge(part);
}

async function bodyOf(store: Store, key: string): Promise<string | null> {
  try {
    return (await store.get(key)).toString('utf8');
  } catch (error) {
    if (isRunnerError(error, 'ObjectMissing')) return null;
    throw error;
  }
}
