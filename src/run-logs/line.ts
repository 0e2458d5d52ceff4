import { stripVTControlCharacters } from 'node:util';
import { unprintable } from '../runtime/printable.ts';
import type { Redact } from '../runtime/secrets.ts';

export const levels = ['info', 'warn', 'error'] as const;
export type Level = (typeof levels)[number];

/** What an activity and its attempt are, for whoever reads a line. */
export interface Speaker {
  /** Name of the activity. */
  readonly activity?: string;
  /** Id of the attempt, which object prefixes are named after too. */
  readonly attempt?: string;
  /** Which attempt at the activity it is, from 1. */
  readonly number?: number;
  /** Of a line that the worker did not say itself. */
  readonly from?: 'trainer';
}

/** One line of a log, as it stands in an object: JSON, of at most some 8 kB. */
export interface LogLine extends Speaker {
  /** ISO 8601, in UTC. */
  readonly time: string;
  readonly level: Level;
  readonly text: string;
  /** What else was said, such as `{"crashes": 2}`. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** Characters of a line; more are cut away, and it says so. */
export const longestText = 4000;
const longestFields = 2000;
/** A secret that a cut would leave half of must be short enough to go as a whole. */
const longestWord = 4096;

/** A text of at most so many characters, which says what was cut; no word is cut in two, since it could be a secret. */
export function cutText(text: string, longest: number): string {
  if (text.length <= longest) return text;
  let end = longest;
  while (end > 0 && longest - end < longestWord && text[end - 1]!.trim() !== '') end--;
  return `${text.slice(0, end)}... (${text.length} characters)`;
}

/** A text as it may be kept: harmless on a terminal, without what a person should not see, and short. */
export function cleaned(text: string, redact: Redact, longest = longestText): string {
  // Redacted first as it came: what hides between letters of a secret would hide it.
  const plain = stripVTControlCharacters(cutText(text, 2 * longest)).replace(/\s*[\r\n]\s*|\t/g, ' ');
  return cutText(redact(plain.replace(unprintable, '?')), longest);
}

/** A line as JSON. `said` is what was logged beside the text: an error comes into the text. */
export function encodeLine(
  line: Omit<LogLine, 'text' | 'fields'>,
  said: Readonly<Record<string, unknown>>,
  text: string,
  redact: Redact,
): string {
  const { err, ...rest } = said;
  const whole = err === undefined ? text : `${text}: ${inWords(err)}`;
  const fields = encodeFields(rest, redact);
  return `${JSON.stringify({ ...line, text: cleaned(whole, redact), ...(fields && { fields }) })}\n`;
}

function encodeFields(said: Readonly<Record<string, unknown>>, redact: Redact): object | null {
  const kept = Object.entries(said).filter(([, value]) => value !== undefined);
  if (kept.length === 0) return null;
  const text = redact(JSON.stringify(Object.fromEntries(kept), (_, value) => plain(value)));
  try {
    if (text.length <= longestFields) return JSON.parse(text);
  } catch {
    // A secret took a quote along.
  }
  return { more: cleaned(text, redact, longestFields) };
}

const plain = (value: unknown) =>
  value instanceof Error ? value.message : typeof value === 'bigint' ? String(value) : value;

/** An error and what it came of. A stack says more of this machine than of the run, and stands in the worker's log. */
function inWords(error: unknown): string {
  const said: string[] = [];
  for (let one = error, deep = 0; one instanceof Error && deep < 4; one = one.cause, deep++)
    if (!said.some((text) => text.includes(one.message))) said.push(one.message);
  return said.length > 0 ? said.join('; because of: ') : String(error);
}

/** A line of an object; null for what is none. Texts from a bucket are not trusted: printing makes them harmless. */
export function parseLine(json: unknown): LogLine | null {
  if (typeof json !== 'object' || json === null) return null;
  const { time, level, text, fields, activity, attempt, number, from } = json as Record<string, unknown>;
  if (typeof time !== 'string' || Number.isNaN(Date.parse(time)) || typeof text !== 'string') return null;
  return {
    time,
    level: levels.find((one) => one === level) ?? 'info',
    text,
    ...(typeof activity === 'string' && { activity }),
    ...(typeof attempt === 'string' && { attempt }),
    ...(typeof number === 'number' && { number }),
    ...(from === 'trainer' && { from }),
    ...(typeof fields === 'object' && fields !== null && { fields: fields as Record<string, unknown> }),
  };
}
