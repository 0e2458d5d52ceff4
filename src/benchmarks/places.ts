import { Readable } from 'node:stream';
import { csvRows } from '../packing/tables.ts';
import { RunnerError } from '../runtime/errors.ts';
import { sha256 } from '../runtime/hash.ts';
import { printable } from '../runtime/printable.ts';
import type { Benchmark, Example, Fault } from './benchmark.ts';
import { type Files, isSafe } from './files.ts';
import { pythonList } from './python-list.ts';

type Row = Readonly<Record<string, unknown>>;

const rowsOf = (files: Files, key: string) =>
  csvRows({ stream: async (name: string) => Readable.from(await files.stream(name)) }, { key, bytes: 0, etag: '' });

/** The examples of a table, row by row; null is one that is not asked for. A table without a column that is needed is an error that names those it has. */
async function* examplesOf(
  files: Files,
  table: string,
  columns: readonly string[],
  make: (row: Readonly<Record<string, string>>, name: string) => Example | string | null,
): AsyncGenerator<Example | Fault> {
  let checked = false;
  for await (const found of rowsOf(files, table)) {
    if ('fault' in found) {
      yield found;
      continue;
    }
    if (!checked) needColumns(`${files.where}/${table}`, found.row, columns);
    checked = true;
    const example = make(found.row as Readonly<Record<string, string>>, found.name);
    if (example !== null) yield typeof example === 'string' ? { name: found.name, fault: example } : example;
  }
}

function needColumns(where: string, row: Row, columns: readonly string[]): void {
  const missing = columns.filter((column) => !Object.hasOwn(row, column));
  if (missing.length > 0) {
    const has = Object.keys(row).slice(0, 40).map(printable).join(', ');
    throw new RunnerError('DataContract', `${where} has no column ${missing.join(', ')}; it has: ${has}`);
  }
}

/** Quarters of the households' monthly income in dollars, from poor to rich, as the data set's authors draw them. */
const incomeBounds = [200, 684, 1997];
const incomeGroups = ['Q4', 'Q3', 'Q2', 'Q1'];

/**
 * Dollar Street (`images_v2_imagenet_test.csv` of the MLCommons download): ImageNet's numbers in `imagenet_sysnet_id`, several of
 * them right; groups by income, region and country.
 */
export function openDollarStreet(files: Files, table = 'images_v2_imagenet_test.csv'): Benchmark {
  const columns = ['id', 'country.name', 'region.id', 'imageRelPath', 'income', 'imagenet_sysnet_id'];
  return {
    classes: null,
    templates: null,
    notes: [],
    examples: () =>
      examplesOf(files, table, columns, (row) => {
        const file = row.imageRelPath!;
        if (!isSafe(file)) return 'imageRelPath names no picture within the data set';
        const labels = pythonList(row.imagenet_sysnet_id!);
        if (
          !labels?.every((label) => Number.isInteger(label) && (label as number) >= 0 && (label as number) < 1000) ||
          labels.length === 0
        )
          return `imagenet_sysnet_id is "${printable(row.imagenet_sysnet_id!)}", and has to be a list of ImageNet's numbers`;
        const income = Number(row.income);
        if (row.income!.trim() === '' || !(income >= 0))
          return `income is "${printable(row.income!)}", and has to be a number`;
        const group = incomeGroups[incomeBounds.filter((bound) => income > bound).length]!;
        return {
          name: row.id!,
          picture: { file },
          labels: labels as number[],
          groups: { income: group, region: row['region.id']!, country: row['country.name']! },
        };
      }),
  };
}

/** Objects that GeoDE's index has are numbered by their names; more of them are something else. */
const mostObjects = 1000;

/** GeoDE says no split: halves by the hash of the name of the file, whatever else is there. */
const halves = ['train', 'test'];

/**
 * GeoDE (`index.csv`, pictures below `images`): classes are its objects in the order of their names, groups are region and
 * country. `split` is one of two halves, since probes need two; without it all are given. The table is read twice, for the names
 * of objects first.
 */
export async function openGeoDe(
  files: Files,
  table = 'index.csv',
  pictures = 'images',
  split?: string,
): Promise<Benchmark> {
  if (split !== undefined && !halves.includes(split))
    throw new RunnerError('RecipeInvalid', `--split is "${printable(split)}"; allowed of geode: ${halves.join(', ')}`);
  const isOfSplit = (file: string) =>
    split === undefined || halves[Number.parseInt(sha256(file).slice(0, 1), 16) % 2] === split;
  const columns = ['object', 'region', 'ip_country', 'file_path'];
  const objects = new Set<string>();
  let checked = false;
  for await (const found of rowsOf(files, table)) {
    if ('fault' in found) continue;
    if (!checked) needColumns(`${files.where}/${table}`, found.row, columns);
    checked = true;
    objects.add(String(found.row.object).trim());
    if (objects.size > mostObjects)
      throw new RunnerError(
        'DataContract',
        `${files.where}/${table} has more than ${mostObjects} objects: they are no classes`,
      );
  }
  objects.delete('');
  const classes = [...objects].sort((a, b) => (a < b ? -1 : 1));
  const numbers = new Map(classes.map((name, i) => [name, i]));
  return {
    classes: classes.map((name) => name.replaceAll('_', ' ')),
    templates: null,
    notes: [],
    examples: () =>
      examplesOf(files, table, columns, (row) => {
        const file = row.file_path!;
        if (!isOfSplit(file)) return null;
        if (!isSafe(file)) return 'file_path names no picture within the data set';
        const label = numbers.get(row.object!.trim());
        if (label === undefined) return 'it names no object';
        if (row.region!.trim() === '') return 'it names no region';
        return {
          name: file,
          picture: { file: `${pictures}/${file}` },
          labels: [label],
          groups: { region: row.region!, country: row.ip_country! },
        };
      }),
  };
}
