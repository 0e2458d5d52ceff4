import { isRecord, readJsonText, readText } from '../../runtime/json-text.ts';
import { printable } from '../index/printable.ts';
import type { Mapping } from '../index/types.ts';
import { CorruptExample } from './corrupt-example.ts';
import { textOf, textsOf } from './text-of.ts';
import type { ExampleMeta } from './types.ts';

type Captions = Readonly<Record<string, readonly string[]>>;

/** Where texts are looked for in JSON when the recipe names no field: as img2dataset and others call it. */
export const usualFields = ['caption', 'captions', 'text'] as const;

/**
 * An example of shards that others wrote: its texts, and its class as concept. Everything else is left alone: a `key` or
 * `source` of theirs need not be what we mean by it. Throws `CorruptExample`.
 */
export function parseMapped(read: Mapping, name: string, meta: Buffer, of: Buffer | undefined): ExampleMeta {
  const found = read.class && classOf(read, of ?? meta);
  const captions =
    read.captions === 'class'
      ? { [read.language]: [found!.label] }
      : read.captions === 'json'
        ? captionsInJson(read, meta)
        : { [read.language]: linesOf(read, textIn('txt', meta)) };
  return { key: name, captions, concept: found?.concept ?? name };
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

function captionsInJson({ field, language }: Mapping, bytes: Buffer): Captions {
  // img2dataset writes gaps of a table as NaN.
  const { value, problem } = readJsonText(bytes, { nan: true });
  if (problem !== undefined) throw new CorruptExample(problem.replace(/^it/, 'the JSON member'));
  const found = isRecord(value) ? captionField(value, field) : undefined;
  if (!found) {
    const wanted = field === undefined ? usualFields.join(', ') : printable(field);
    throw new CorruptExample(`the JSON member has no ${wanted}`);
  }
  const [name, said] = found;
  const at = printable(name);
  const captions = isRecord(said)
    ? Object.fromEntries(
        Object.entries(said).flatMap(([own, texts]) => {
          const kept = oneOrMore(texts, `${at}.${printable(own).slice(0, 20)}`);
          return kept.length > 0 ? [[own, kept]] : [];
        }),
      )
    : { [language]: oneOrMore(said, at) };
  if (Object.values(captions).every((texts) => texts.length === 0))
    throw new CorruptExample(`the JSON member has no text: ${at} is empty`);
  return captions;
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
