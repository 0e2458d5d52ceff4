import { createHash } from 'node:crypto';
import type { ShardStore } from '../data/index/part-reader.ts';
import { counted } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { canonicalJson } from '../runtime/hash.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { besideColumns, columnsRead, guessColumns } from './columns.ts';
import { folderItems, textsOfFolder } from './folder-items.ts';
import { openParquet, type ParquetTable } from './parquet.ts';
import type { PackSettings } from './settings.ts';
import { layoutFrom, survey } from './survey.ts';
import { tableItems } from './table-items.ts';
import type { Item, Listing, Part, Table } from './types.ts';

type Reads = ShardStore & Pick<ObjectStore, 'stream' | 'head' | 'list'>;

/** Bytes of the JSON of a part: what texts it names is read whole. */
const mostPartBytes = 16 * 1024 * 1024;
/** Bytes of the row groups of a part, one at least. */
const mostGroupBytes = 512 * 1024 * 1024;
/** Global numbers of items have 32 bits. */
const mostItems = 2 ** 32 - 1;

/**
 * Reads what is there as far as it says where pictures lie and what they are, and cuts it into parts of some thousand
 * items. Only one part is held. The same files give the same parts, byte for byte. It goes through the listing twice and
 * through the text of tables once: 100 million pictures are 200,000 requests, and some hours for this one activity.
 */
export async function listParts(
  store: Reads,
  settings: PackSettings,
  write: (number: number, bytes: Buffer) => Promise<void>,
  note: (doing: string) => void = () => {},
): Promise<Listing> {
  const found = await survey(store, settings.from, (keys) => note(`listing: ${counted(keys, 'name')}`));
  const layout = layoutFrom(found, settings);
  const counts: number[] = [];
  const hash = createHash('sha256');
  let total = 0;
  let otherSplits = 0;
  const put = async (part: Part, count: number) => {
    const bytes = Buffer.from(canonicalJson(part));
    hash.update(bytes);
    await write(counts.length, bytes);
    counts.push(count);
    total += count;
    if (total > mostItems)
      throw new RunnerError('DataContract', `there are more than ${mostItems} pictures: pack folders one by one`);
    note(`listing: ${counted(total, 'picture')}`);
  };
  const tables = found.tables[layout];
  let [items, bytes, pictureBytes]: [Item[], number, number] = [[], 0, 0];
  const cut = async () => {
    if (items.length > 0) await put({ kind: 'items', items }, items.length);
    [items, bytes, pictureBytes] = [[], 0, 0];
  };
  const add = async (item: Item) => {
    const more = Buffer.byteLength(JSON.stringify(item));
    // Bytes that are kept are those of the shard.
    const own = settings.format === 'original' ? (item.bytes ?? 0) : 0;
    if (
      items.length >= settings.partExamples ||
      bytes + more > mostPartBytes ||
      pictureBytes + own > settings.shardBytes
    )
      await cut();
    items.push(item);
    bytes += more;
    pictureBytes += own;
  };
  if (tables.length === 0)
    for await (const item of folderItems(
      store,
      settings,
      settings.texts ?? (layout === 'imagefolder' ? 'class' : textsOfFolder(found)),
    ))
      await add(item);
  for (const table of ofSplits(tables, layout, settings)) {
    const parquet = table.key.toLowerCase().endsWith('.parquet') ? await openParquet(store, table) : null;
    const image = parquet && guessColumns(table.key, parquet.columns, settings).image;
    if (parquet?.holdsBytes(image!)) {
      await cut();
      for (const [part, count] of parquetParts(table, parquet, settings)) await put(part, count);
    } else for await (const item of tableItems(store, table, settings, () => otherSplits++)) await add(item);
  }
  await cut();
  if (counts.length === 0)
    throw new RunnerError(
      'DataContract',
      `below ${settings.from}/ is no row${otherSplits > 0 ? ` of the splits ${settings.splits!.join(', ')}` : ''}`,
    );
  const names = tables.length > 0 && found.pictures > 0 ? { pictures: found.pictures } : {};
  return {
    layout,
    counts,
    ...names,
    otherSplits,
    others: Object.fromEntries(found.kinds.counts),
    sha256: hash.digest('hex'),
  };
}

/** Of Parquet files that hold their pictures, the names say the split: train-00000-of-00042.parquet. */
function ofSplits(tables: readonly Table[], layout: string, { splits }: PackSettings): readonly Table[] {
  if (layout !== 'parquet' || !splits) return tables;
  const base = ({ key }: Table) => key.slice(key.lastIndexOf('/') + 1);
  const own = tables.filter((table) =>
    splits.some((split) => base(table).startsWith(`${split}-`) || base(table) === `${split}.parquet`),
  );
  return own.length > 0 ? own : tables;
}

/** Row groups of a table, joined as far as a part goes. */
function* parquetParts(table: Table, parquet: ParquetTable, settings: PackSettings): Generator<[Part, number]> {
  const guessed = guessColumns(table.key, parquet.columns, settings);
  const classnames = guessed.class === undefined ? undefined : parquet.classnames(guessed.class);
  const beside = besideColumns.filter((column) => parquet.columns.includes(column));
  const columns = { ...guessed, ...(classnames && { classnames }), ...(beside.length > 0 && { beside }) };
  let [groups, rows, size]: [(readonly [number, number])[], number, number] = [[], 0, 0];
  for (const group of parquet.groups(columnsRead(columns))) {
    const count = group.rows[1] - group.rows[0];
    if (groups.length > 0 && (rows + count > settings.partExamples || size + group.bytes > mostGroupBytes)) {
      yield [{ kind: 'parquet', table, columns, groups }, rows];
      [groups, rows, size] = [[], 0, 0];
    }
    if (count === 0) continue;
    groups.push(group.rows);
    rows += count;
    size += group.bytes;
  }
  if (groups.length > 0) yield [{ kind: 'parquet', table, columns, groups }, rows];
}
