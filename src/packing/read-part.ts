import { readRange, type ShardStore } from '../data/index/part-reader.ts';
import { isRunnerError } from '../runtime/errors.ts';
import { columnsRead } from './columns.ts';
import { readRows, rowName } from './parquet.ts';
import { folderOf } from './places.ts';
import { type RowItem, rowItem } from './row-item.ts';
import type { Item, Part } from './types.ts';

/** Pictures of a part, in its order, with those that the table holds. Rows are read by row groups, of which one is held. */
export async function* readPart(store: ShardStore, part: Part, language: string): AsyncGenerator<RowItem> {
  if (part.kind === 'items') {
    yield* part.items;
    return;
  }
  const { table, columns, groups } = part;
  const wanted = columnsRead(columns);
  for (const group of groups) {
    const name = (i: number) => rowName(table, group[0] + i);
    const at = { folder: folderOf(table.key), bucket: store.bucket, language };
    try {
      const rows = await readRows(store, table, wanted, group);
      for (const [i, row] of rows.entries()) yield rowItem(row, columns, { ...at, name: name(i) });
    } catch (error) {
      // Rows of a damaged group are lost one by one, and told so; a file that has changed or gone is another matter.
      if (!isRunnerError(error, 'DataContract') || error.details.table === undefined) throw error;
      const fault = `the row group can't be read: ${error.message}`;
      for (let i = 0; i < group[1] - group[0]; i++) yield { name: name(i), fault };
    }
  }
}

/** A picture or text of the bucket, as it was listed. */
export async function fetchOf(
  store: ShardStore,
  item: Pick<Item, 'key' | 'bytes' | 'etag'>,
  most: number,
): Promise<Buffer> {
  const { key, bytes, etag } = item;
  if (bytes !== undefined && etag !== undefined)
    return bytes === 0 ? Buffer.alloc(0) : readRange(store, { key: key!, bytes, etag }, 0, bytes);
  return store.get(key!, { size: most + 1 });
}
