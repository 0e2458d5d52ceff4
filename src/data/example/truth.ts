import { isRecord, readJsonText } from '../../runtime/json-text.ts';
import { printable } from '../../runtime/printable.ts';
import { CorruptExample } from './corrupt-example.ts';
import { boxOf, parseRegions, type Region } from './regions.ts';
import { textOf, textsOf } from './text-of.ts';

/** A thing that is there: `box` is [top, left, bottom, right] in shares of the image's sides, as that of a region. */
export interface TrueObject {
  readonly category: string;
  readonly box: Region['box'];
  /** Square pixels of its mask as annotated; absent: those of the box. */
  readonly area?: number;
  /** A region of many (COCO's `iscrowd`). */
  readonly crowd?: boolean;
}

export interface Question {
  readonly question: string;
  readonly answers: readonly string[];
}

/** What the JSON member of an example says beside captions and concepts; evaluators alone look at it. */
export interface Truth {
  /** By what fairness and diversity are looked at: {"region": "Africa", "income": "Q1"}. */
  readonly groups?: Readonly<Record<string, string>>;
  /** Referring expressions and described parts. */
  readonly regions?: readonly Region[];
  readonly objects?: readonly TrueObject[];
  /** Categories that are known not to be there, and those of which not all are marked (LVIS). */
  readonly absent?: readonly string[];
  readonly partial?: readonly string[];
  readonly questions?: readonly Question[];
  /** Latitude and longitude in degrees. */
  readonly place?: readonly [number, number];
}

const most = 1000;
const longestText = 2000;

/**
 * Reads what a JSON member says for evaluation; a member of another kind says nothing. Throws `CorruptExample` with the field
 * and what is allowed: what evaluators count by is never dropped in silence, while training passes over it.
 */
export function parseTruth(bytes: Uint8Array): Truth {
  const { value } = readJsonText(bytes, { nan: true });
  if (!isRecord(value)) return {};
  const listOf = <T>(name: string, make: (one: unknown, field: string) => T): readonly T[] | undefined => {
    const list = value[name] ?? undefined;
    if (list === undefined) return undefined;
    if (!Array.isArray(list) || list.length > most)
      throw new CorruptExample(`${name} is not a list of at most ${most}`);
    return list.map((one, i) => make(one, `${name}.${i}`));
  };
  const regions = parseRegions(value.regions ?? undefined);
  const found = {
    groups: groupsOf(value.groups ?? undefined),
    regions: regions.length > 0 ? regions : undefined,
    objects: listOf('objects', objectOf),
    absent: listOf('absent', shortText),
    partial: listOf('partial', shortText),
    questions: listOf('questions', questionOf),
    place: placeOf(value.place ?? undefined),
  };
  return Object.fromEntries(Object.entries(found).filter(([, one]) => one !== undefined));
}

function groupsOf(value: unknown): Truth['groups'] {
  if (value === undefined) return undefined;
  if (!isRecord(value) || Object.keys(value).length > 50)
    throw new CorruptExample('groups is not an object of at most 50 names, such as {"region": "Africa"}');
  return Object.fromEntries(
    Object.entries(value).map(([name, group]) => [name, shortText(group, `groups.${printable(name).slice(0, 20)}`)]),
  );
}

function shortText(value: unknown, field: string): string {
  const text = textOf(value, () => field);
  if (text === undefined || text.trim() === '' || text.length > longestText)
    throw new CorruptExample(`${field} is not a text of at most ${longestText} characters`);
  return text;
}

function objectOf(value: unknown, field: string): TrueObject {
  const { category, box, area, crowd } = isRecord(value) ? value : {};
  const name = shortText(category, `${field}.category`);
  const sides = boxOf(box);
  if (!sides) throw new CorruptExample(`${field}.box is not [top, left, bottom, right] in shares of the image`);
  if (area !== undefined && !(typeof area === 'number' && area >= 0 && Number.isFinite(area)))
    throw new CorruptExample(`${field}.area is not a number of square pixels`);
  if (crowd !== undefined && typeof crowd !== 'boolean' && crowd !== 0 && crowd !== 1)
    throw new CorruptExample(`${field}.crowd is not true or false`);
  return {
    category: name,
    box: sides,
    ...(area !== undefined && { area: area as number }),
    ...(crowd && { crowd: true }),
  };
}

function questionOf(value: unknown, field: string): Question {
  const { question, answers } = isRecord(value) ? value : {};
  const list = Array.isArray(answers) && answers.length <= most ? textsOf(answers, `${field}.answers`) : [];
  if (list.length === 0) throw new CorruptExample(`${field}.answers is not a list of 1 to ${most} texts`);
  return { question: shortText(question, `${field}.question`), answers: list };
}

function placeOf(value: unknown): Truth['place'] {
  if (value === undefined) return undefined;
  const [latitude, longitude] = (Array.isArray(value) && value.length === 2 ? value : []) as [unknown, unknown];
  const within = (degrees: unknown, bound: number) =>
    typeof degrees === 'number' && degrees >= -bound && degrees <= bound;
  if (!within(latitude, 90) || !within(longitude, 180))
    throw new CorruptExample('place is not [latitude, longitude] in degrees');
  return [latitude as number, longitude as number];
}
