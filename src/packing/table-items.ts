import type { ShardStore } from '../data/index/part-reader.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { cocoName, cocoRows, cocoSplit } from './coco.ts';
import { besideColumns, columnsRead, guessColumns } from './columns.ts';
import { openParquet, readRows, rowName } from './parquet.ts';
import { folderOf, urlsRefused } from './places.ts';
import { rowItem } from './row-item.ts';
import type { PackSettings } from './settings.ts';
import { plainName } from './table-stream.ts';
import { csvRows, jsonlRows, karpathyRows, type Row } from './tables.ts';
import type { Item, Table } from './types.ts';

type Reads = ShardStore & Pick<ObjectStore, 'stream' | 'head'>;

/** Rows that are looked at before a table is read: for its columns, and for where its pictures lie. */
const first = 20;
/** Where people put pictures beside a table. */
const usualFolders = ['images', 'train', 'flickr30k-images', 'flickr30k_images', 'Flicker8k_Dataset', 'Images'];

/** The rows of a table that names its pictures, as items. `otherSplit` is told of each row of another split. */
export async function* tableItems(
  store: Reads,
  table: Table,
  settings: PackSettings,
  otherSplit: () => void,
): AsyncGenerator<Item> {
  const rows = rowsOf(store, table, settings);
  const ahead: Row[] = [];
  while (ahead.length < first) {
    const next = await rows.next();
    if (next.done) break;
    ahead.push(next.value);
  }
  const seen = new Set(ahead.flatMap((row) => ('row' in row ? Object.keys(row.row) : [])));
  if (seen.size === 0) {
    if (ahead.length === 0) return;
    const { name, fault } = ahead[0] as { name: string; fault: string };
    throw new RunnerError(
      'DataContract',
      `none of the first ${ahead.length} rows of ${table.key} can be read: ${name}: ${fault}`,
    );
  }
  const columns = guessColumns(table.key, [...seen], settings);
  const item = (row: Row, folder: string): Item =>
    'fault' in row
      ? row
      : rowItem(row.row, columns, { name: row.name, folder, bucket: store.bucket, language: settings.language });
  const folder = await pictureFolder(store, table, settings, (folder) => ahead.map((row) => item(row, folder)));
  const { splits } = settings;
  for await (const row of joined(ahead, rows)) {
    if (splits && 'row' in row && !splits.includes(String(row.row.split))) otherSplit();
    else yield item(row, folder);
  }
}

async function* joined(ahead: readonly Row[], rows: AsyncGenerator<Row>): AsyncGenerator<Row> {
  yield* ahead;
  yield* rows;
}

function rowsOf(store: Reads, table: Table, settings: PackSettings): AsyncGenerator<Row> {
  const key = plainName(table.key);
  if (cocoName.test(table.key)) return cocoRows(store, table);
  if (/\.(jsonl|ndjson)$/.test(key)) return jsonlRows(store, table);
  if (/\.(csv|tsv)$/.test(key)) return csvRows(store, table);
  return key.endsWith('.parquet') ? parquetRows(store, table, settings) : karpathyRows(store, table);
}

async function* parquetRows(store: Reads, table: Table, settings: PackSettings): AsyncGenerator<Row> {
  const parquet = await openParquet(store, table);
  const guessed = guessColumns(table.key, parquet.columns, settings);
  const wanted = [...columnsRead({ ...guessed, beside: besideColumns }), 'split'];
  const columns = parquet.columns.filter((column) => wanted.includes(column));
  for (const { rows } of parquet.groups(columns)) {
    for (const [i, row] of (await readRows(store, table, columns, rows)).entries())
      yield { name: rowName(table, rows[0] + i), row };
  }
}

const below = (folder: string) => (name: string) => (folder === '' ? name : `${folder}/${name}`);

/** COCO's documents lie in annotations/, and their pictures beside that in a folder of the split. */
function ofCoco(key: string): string[] {
  if (!cocoName.test(key) || !/(^|\/)annotations\/[^/]+$/.test(key)) return [];
  const split = cocoSplit(key);
  return [split, `images/${split}`, 'images'].map(below(folderOf(folderOf(key))));
}

/** Where the pictures of the first rows are. DataContract when they are nowhere: a pack of nothing helps no one. */
async function pictureFolder(
  store: Reads,
  table: Table,
  { pictures }: PackSettings,
  items: (folder: string) => readonly Item[],
): Promise<string> {
  const own = pictures ?? folderOf(table.key);
  const named = items(own);
  const faults = named.flatMap(({ fault }) => fault ?? []);
  if (faults.length === named.length && faults.every((fault) => fault.includes('an address on the web')))
    throw new RunnerError('DataContract', `${table.key}: ${urlsRefused}`);
  const candidates = pictures === undefined ? [...ofCoco(table.key), own, ...usualFolders.map(below(own))] : [own];
  let looked = '';
  for (const folder of candidates)
    for (const { key } of items(folder).slice(0, 5)) {
      if (key === undefined) continue;
      if (await store.head(key)) return folder;
      looked ||= key;
    }
  if (looked === '') return own;
  throw new RunnerError(
    'DataContract',
    `the pictures that ${table.key} names are not there, ${looked} for one; --pictures PREFIX says where its file names begin`,
  );
}
