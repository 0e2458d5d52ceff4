import { RunnerError } from '../runtime/errors.ts';
import { printable } from '../runtime/printable.ts';
import type { PackSettings } from './settings.ts';
import type { Columns } from './types.ts';

const imageColumns = [
  'file_name',
  'image',
  'filename',
  'image_path',
  'filepath',
  'image_file',
  'file',
  'path',
  'img',
  'jpg',
  'png',
  'webp',
];
const captionColumns = [
  'caption',
  'captions',
  'text',
  'texts',
  'sentence',
  'sentences',
  'sentences_raw',
  'alt_text',
  'title',
  'description',
  'prompt',
];
/** What else of a row is carried over, by the names that the shards have for it. */
export const besideColumns = ['regions', 'source', 'negatives'] as const;
const classColumns = ['label', 'class', 'class_name', 'label_name', 'category'];

/** Which columns say what, as told or by their names. DataContract with what was seen, and what to type, where none does. */
export function guessColumns(table: string, seen: readonly string[], told: PackSettings): Columns {
  const shown = seen.slice(0, 30).map(printable).join(', ') || 'none';
  const wrong = (what: string) => new RunnerError('DataContract', `${table} has the columns ${shown}: ${what}`);
  const missing = [told.image, ...Object.keys(told.captions ?? {})].find(
    (name) => name !== undefined && !seen.includes(name),
  );
  if (missing !== undefined)
    throw wrong(`${printable(missing)} is none of them; --image and --caption name those that are there`);
  const byName = (names: readonly string[]) => {
    const lower = seen.map((name) => name.toLowerCase());
    const found = names.find((name) => lower.includes(name));
    return found === undefined ? undefined : seen[lower.indexOf(found)];
  };
  const image = told.image ?? byName(imageColumns);
  if (image === undefined) throw wrong('none is known to name pictures; --image NAME says which does');
  const text = byName(captionColumns);
  const own = told.captions ?? (text === undefined ? {} : { [text]: told.language });
  const of = byName(classColumns);
  if (Object.keys(own).length === 0 && of === undefined)
    throw wrong('none is known to hold texts or a class; --caption NAME says which does');
  return { image, captions: own, ...(of !== undefined && { class: of }) };
}

/** The columns that are read of a table which holds its pictures. */
export const columnsRead = ({ image, captions, class: of, beside = [] }: Columns): string[] => [
  image,
  ...Object.keys(captions),
  ...(of === undefined ? [] : [of]),
  ...beside,
];
