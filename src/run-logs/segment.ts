import { createHash } from 'node:crypto';
import { logsPrefix, namePattern } from '../checkpoint/keys.ts';

/** What a log is of: a phase, or with null the run itself. */
export interface Place {
  readonly run: string;
  readonly phase: string | null;
}

/**
 * A segment is what one worker said for one place in some seconds: a file that becomes an object, and never changes
 * then. Its first line is this as JSON; older segments lie one after another in one object, each with its own.
 */
export interface SegmentHeader extends Place {
  /** Version of the format. */
  readonly segment: 1;
  /** Host, process, and what tells it from another of the same names. */
  readonly worker: string;
  /** Counts the segments of this worker, from 1. */
  readonly sequence: number;
  /** Version of the code. */
  readonly code: string;
}

/** Tells a segment from all others: what two objects hold is one. */
export const segmentId = ({ worker, sequence }: Pick<SegmentHeader, 'worker' | 'sequence'>) => `${worker}/${sequence}`;

/** `2026-11-27T07:30:12.345Z` as it stands in a key, which so sorts by time: `20261127T073012345Z`. */
const compact = (time: string) => new Date(time).toISOString().replaceAll(/[-:.]/g, '');

/** Where a segment lies, by its first line's time. */
export function segmentKey(header: SegmentHeader, time: string): string {
  const { worker, sequence } = header;
  return `${logsPrefix(header)}${compact(time)}-${worker}-${String(sequence).padStart(6, '0')}.jsonl`;
}

/** Where segments lie that have become one object: named after what is in it, so that two who join the same agree. */
export function joinedKey(place: Place, time: string, ids: readonly string[]): string {
  const hash = createHash('sha256').update(ids.join('\n')).digest('hex').slice(0, 16);
  return segmentKey({ ...place, segment: 1, worker: `joined-${hash}`, sequence: ids.length, code: '' }, time);
}

const keyPattern =
  /^logs\/([^/]+)\/(?:([^/]+)\/)?(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z-([^/]+)-(\d{6,15})\.jsonl$/;

/** What a key says, or null for any other: of which place, from when on (milliseconds since 1970), of which worker. */
export function parseSegmentKey(key: string): (Place & { readonly from: number; readonly worker: string }) | null {
  const [, run = '', phase = null, year, month, day, hour, minute, second, ms, worker = ''] =
    keyPattern.exec(key) ?? [];
  if (!namePattern.test(run) || (phase !== null && !namePattern.test(phase)) || !namePattern.test(worker)) return null;
  const from = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${ms}Z`);
  return Number.isNaN(from) ? null : { run, phase, from, worker };
}

/** The header that a line of JSON is; null for any other line. */
export function parseHeader(json: unknown): SegmentHeader | null {
  if (typeof json !== 'object' || json === null || (json as { segment?: unknown }).segment !== 1) return null;
  const { run, phase, worker, sequence, code } = json as Record<string, unknown>;
  const named = [run, phase ?? 'none', worker].every((one) => typeof one === 'string' && namePattern.test(one));
  if (!named || !Number.isSafeInteger(sequence) || (sequence as number) < 0) return null;
  return {
    segment: 1,
    run: run as string,
    phase: (phase ?? null) as string | null,
    worker: worker as string,
    sequence: sequence as number,
    code: typeof code === 'string' ? code : '',
  };
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
