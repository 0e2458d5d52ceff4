import { isRecord, readJsonText, readText } from '../../runtime/json-text.ts';
import { printable } from '../../runtime/printable.ts';
import type { Mapping } from '../index/types.ts';
import { CorruptExample } from './corrupt-example.ts';
import { textOf, textsOf } from './text-of.ts';
import type { ExampleMeta } from './types.ts';

type Texts = Pick<ExampleMeta, 'captions' | 'fields' | 'negatives'>;

/** Where texts are looked for in JSON when the recipe names no field: as img2dataset and others call it. */
export const usualFields = ['caption', 'captions', 'text'] as const;

/**
 * An example of shards that others wrote: its texts, and its class as concept. Everything else is left alone: a `key` or
 * `source` of theirs need not be what we mean by it. Throws `CorruptExample`.
 */
export function parseMapped(read: Mapping, name: string, meta: Buffer, of: Buffer | undefined): ExampleMeta {
  const found = read.class && classOf(read, of ?? meta);
  const said: Texts =
    read.captions === 'class'
      ? { captions: { [read.language]: [found!.label] } }
      : read.captions === 'json'
        ? textsInJson(read, meta)
        : { captions: { [read.language]: linesOf(read, textIn('txt', meta)) } };
  return { key: name, ...said, concept: found?.concept ?? name };
}

/** What a text member says, without the blanks around it. */
function textIn(extension: string, bytes: Buffer): string {
  const read = readText(bytes);
  if (read.problem !== undefined) throw new CorruptExample(read.problem.replace(/^it/, `the ${extension} member`));
  const text = read.text.trim();
  if (text === '') throw new CorruptExample(`empty ${extension} member`);
  if (text.startsWith('version https://git-lfs.github.com/'))
    throw new CorruptExample(`the ${extension} member is a Git LFS pointer: git lfs pull fetches the file itself`);
  return text;
}

/** As `splitlines` of Python has them, by which CLIP_benchmark reads them. */
const linesOf = ({ captions }: Mapping, text: string) =>
  captions === 'lines' ? text.split(/\r\n|[\n\r\v\f\u0085\u2028\u2029]/).flatMap((line) => line.trim() || []) : [text];

/** The field with the texts, and what it has; undefined where none of the usual ones is there. */
export function captionField(value: Readonly<Record<string, unknown>>, field?: string): [string, unknown] | undefined {
  const fields = field === undefined ? usualFields : [field];
  const name = fields.find((name) => Object.hasOwn(value, name) && (value[name] ?? null) !== null);
  return name === undefined ? undefined : [name, value[name]];
}

/** Texts of one field or of several, one field after another; empty ones are as if they were not there. */
function textsInJson({ field, fields, language, languageField }: Mapping, bytes: Buffer): Texts {
  // img2dataset writes gaps of a table as NaN.
  const { value, problem } = readJsonText(bytes, { nan: true });
  if (problem !== undefined) throw new CorruptExample(problem.replace(/^it/, 'the JSON member'));
  const members = isRecord(value) ? value : {};
  const found = (fields ?? [{ field }]).map(({ field }) => captionField(members, field));
  if (found.every((one) => one === undefined)) {
    const named = fields?.map(({ field }) => field) ?? (field === undefined ? usualFields : [field]);
    throw new CorruptExample(`the JSON member has no ${named.map(printable).join(', ')}`);
  }
  const captions = new Map<string, string[]>();
  const numbers = new Map<string, number[]>();
  const common = languageIn(members, languageField) ?? language;
  for (const [number, one] of found.entries()) {
    if (!one) continue;
    const [name, said] = one;
    const at = printable(name);
    const byLanguage: [string, readonly string[]][] = isRecord(said)
      ? Object.entries(said).map(([own, texts]) => [own, oneOrMore(texts, `${at}.${printable(own).slice(0, 20)}`)])
      : [[fields?.[number]?.language ?? common, oneOrMore(said, at)]];
    for (const [own, texts] of byLanguage) {
      if (texts.length === 0) continue;
      captions.set(own, [...(captions.get(own) ?? []), ...texts]);
      numbers.set(own, [...(numbers.get(own) ?? []), ...texts.map(() => number)]);
    }
  }
  if (captions.size === 0) {
    const empty = found.flatMap((one) => (one ? printable(one[0]) : [])).join(', ');
    throw new CorruptExample(`the JSON member has no text: ${empty} ${found.length > 1 ? 'are' : 'is'} empty`);
  }
  const { negatives } = members;
  return {
    captions: Object.fromEntries(captions),
    ...(fields && { fields: Object.fromEntries(numbers) }),
    ...(negatives !== undefined && { negatives }),
  };
}

/** Tags of languages are short; what is longer is something else. */
const longestLanguage = 35;

/** The language that a field names, letter by letter; undefined where it names none. */
function languageIn(members: Readonly<Record<string, unknown>>, field: string | undefined): string | undefined {
  if (field === undefined || !Object.hasOwn(members, field)) return undefined;
  const named = textOf(members[field], () => printable(field))?.trim();
  if (named === undefined || named === '') return undefined;
  if (named.length <= longestLanguage) return named;
  throw new CorruptExample(`${printable(field)} names no language: ${printable(named).slice(0, 60)}`);
}

function oneOrMore(value: unknown, field: string): readonly string[] {
  if (Array.isArray(value)) return textsOf(value, field);
  const text = textOf(value, () => field);
  return text === undefined || text.trim() === '' ? [] : [text];
}

const longestName = 512;

/** A class by its number or its name; as concepts, classes of one name are told apart by their numbers. */
function classOf(read: Mapping, bytes: Buffer): { readonly concept: string; readonly label: string } {
  const extension = read.class!;
  const said = textIn(extension, bytes);
  const { classnames } = read;
  const number = /^\d{1,9}$/.test(said) ? Number(said) : null;
  if (said.length > longestName)
    throw new CorruptExample(
      `the ${extension} member has ${said.length} characters, and no class has more than ${longestName}`,
    );
  if (!classnames) {
    if (extension === 'cls' && number === null)
      throw new CorruptExample(`the ${extension} member has no number of a class: ${printable(said).slice(0, 60)}`);
    return number === null ? { concept: said, label: said } : { concept: String(number), label: String(number) };
  }
  const index = number ?? classnames.indexOf(said);
  const label = classnames[index];
  if (label !== undefined) return { concept: String(index), label };
  throw new CorruptExample(
    `the ${extension} member names none of the ${classnames.length} classes: ${printable(said).slice(0, 60)}`,
  );
}
