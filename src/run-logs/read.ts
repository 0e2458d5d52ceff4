import pMap from 'p-map';
import { logsPrefix } from '../checkpoint/keys.ts';
import { counted } from '../runtime/count-text.ts';
import { isRunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type LogLine, parseLine } from './line.ts';
import { type Place, parseHeader, parseJson, parseSegmentKey, type SegmentHeader, segmentId } from './segment.ts';

/** A line with what its segment says. */
export interface ReadLine extends LogLine, Place {
  readonly worker: string;
}

/** An object with segments, by what a listing tells of it. */
export interface SegmentObject extends Place {
  readonly key: string;
  /** Time of its first line, in milliseconds since 1970. */
  readonly from: number;
  readonly modified: Date;
  readonly bytes: number;
}

/** A run with all its phases, or one phase. */
export interface LogOf {
  readonly run: string;
  readonly phase?: string | undefined;
}

/** Objects at once that are fetched and held: of a megabyte at most, most of them of some kilobytes. */
const atOnce = 16;

/** The objects of a log in the order of their first lines. */
export async function listSegments(store: Pick<ObjectStore, 'list'>, { run, phase }: LogOf): Promise<SegmentObject[]> {
  const found: SegmentObject[] = [];
  for await (const { key, modified, bytes } of store.list(logsPrefix({ run, phase: phase ?? null }))) {
    const at = parseSegmentKey(key);
    if (at) found.push({ key, run: at.run, phase: at.phase, from: at.from, modified, bytes });
  }
  return found.sort((a, b) => a.from - b.from || (a.key < b.key ? -1 : 1));
}

/** The segments of an object, in its order. What is no line is counted in a line of its own. */
export function segmentsOf(body: string): { readonly header: SegmentHeader; readonly lines: readonly ReadLine[] }[] {
  const found: { header: SegmentHeader; lines: ReadLine[]; unread: number }[] = [];
  for (const text of body.split('\n')) {
    if (text === '') continue;
    const json = parseJson(text);
    const header = parseHeader(json);
    const segment = found.at(-1);
    if (header) found.push({ header, lines: [], unread: 0 });
    else if (segment) {
      const line = parseLine(json);
      const { run, phase, worker } = segment.header;
      if (line) segment.lines.push({ ...line, run, phase, worker });
      else segment.unread++;
    }
  }
  return found.map(({ header, lines, unread }) => {
    const last = lines.at(-1);
    if (unread === 0 || !last) return { header, lines };
    const { run, phase, time, worker } = last;
    const remark = {
      time,
      level: 'warn',
      text: `${counted(unread, 'line')} here can't be read`,
      run,
      phase,
      worker,
    } as const;
    return { header, lines: [...lines, remark] };
  });
}

/** Reads a log again and again: each look gives the lines that came since the one before, ordered by time. */
export class LogReader {
  readonly #store: Pick<ObjectStore, 'list' | 'get'>;
  readonly #of: LogOf;
  readonly #keys = new Set<string>();
  /** Segments may lie in two objects, while they are joined. */
  readonly #segments = new Set<string>();

  constructor(store: Pick<ObjectStore, 'list' | 'get'>, of: LogOf) {
    this.#store = store;
    this.#of = of;
  }

  /** Whether any object was found so far. */
  get found(): boolean {
    return this.#keys.size > 0;
  }

  /** What is new. With `since`, in milliseconds since 1970, lines from then on. */
  async *look(since = Number.NEGATIVE_INFINITY): AsyncIterable<ReadLine> {
    // Of an object that was joined with others meanwhile, the next listing names the new one.
    for (let tries = 0; tries < 3; tries++) {
      let missing = false;
      for await (const line of this.#newLines(since, () => {
        missing = true;
      }))
        yield line;
      if (!missing) return;
    }
  }

  async *#newLines(since: number, onMissing: () => void): AsyncIterable<ReadLine> {
    const listed = await listSegments(this.#store, this.#of);
    const fresh = listed.filter(({ key }) => !this.#keys.has(key));
    let held: ReadLine[] = [];
    for (let i = 0; i < fresh.length; i += atOnce) {
      const some = fresh.slice(i, i + atOnce);
      const bodies = await pMap(some, (object) => this.#fetch(object, since), { concurrency: atOnce });
      for (const [at, { key }] of some.entries()) {
        const body = bodies[at];
        if (body === null) onMissing();
        else this.#keys.add(key);
        for (const { header, lines } of segmentsOf(body ?? '')) {
          const id = segmentId(header);
          if (this.#segments.has(id)) continue;
          this.#segments.add(id);
          for (const line of lines) if (Date.parse(line.time) >= since) held.push(line);
        }
      }
      // Nothing that comes later is earlier than the first line of the next object.
      const until = fresh[i + atOnce]?.from ?? Number.POSITIVE_INFINITY;
      held.sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
      const ready = held.findIndex(({ time }) => Date.parse(time) >= until);
      const lines = ready < 0 ? held : held.slice(0, ready);
      held = ready < 0 ? [] : held.slice(ready);
      yield* lines;
    }
  }

  /** Null for an object that is gone; empty for one whose lines are all earlier. */
  async #fetch({ key, modified }: SegmentObject, since: number): Promise<string | null> {
    // The store's clock may be another.
    if (modified.getTime() < since - clockMs) return '';
    try {
      return (await this.#store.get(key)).toString('utf8');
    } catch (error) {
      if (isRunnerError(error, 'ObjectMissing')) return null;
      throw error;
    }
  }
}

const clockMs = 600_000;
