import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { readRange, type ShardStore } from '../data/index/part-reader.ts';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import { isRecord } from '../runtime/json-text.ts';
import { printable } from '../runtime/printable.ts';
import type { Table } from './types.ts';

/** What of a table is needed to read it. */
export interface ParquetTable {
  readonly columns: readonly string[];
  readonly rows: number;
  /** Whether a column holds bytes, or Hugging Face's {bytes, path}, and no names. */
  holdsBytes(column: string): boolean;
  /** Names of the classes of a column, where Hugging Face's features say them. */
  classnames(column: string): readonly string[] | undefined;
  /** First row, the one behind the last, and bytes of the columns of each row group. */
  groups(columns: readonly string[]): { readonly rows: readonly [number, number]; readonly bytes: number }[];
}

/** A row group is read whole: with larger ones a worker would need gigabytes. */
const largestGroup = 1024 ** 3;
/** Footers hold the place of every column of every row group. */
const largestFooter = 256 * 1024 ** 2;

/** The footer of a Parquet file, read by ranges. DataContract for what is none. */
export async function openParquet(store: ShardStore, table: Table): Promise<ParquetTable> {
  const metadata = await asData(table, 'is no whole Parquet file', () =>
    parquetMetadataAsync(fileOf(store, table), { geoparquet: false }),
  );
  const { children } = await asData(table, 'has no schema', async () => parquetSchema(metadata));
  const features = featuresOf(metadata);
  return {
    columns: children.map(({ element }) => element.name),
    rows: Number(metadata.num_rows),
    holdsBytes(column) {
      const found = children.find(({ element }) => element.name === column);
      if (!found) return false;
      if (found.children.length > 0) return found.children.some(({ element }) => element.name === 'bytes');
      const { type, converted_type, logical_type } = found.element;
      return type === 'BYTE_ARRAY' && converted_type === undefined && logical_type === undefined;
    },
    classnames(column) {
      const feature = features[column];
      return isRecord(feature) && Array.isArray(feature.names) ? feature.names.map(String) : undefined;
    },
    groups(columns) {
      let first = 0;
      return metadata.row_groups.map(({ num_rows, columns: chunks }, i) => {
        const rows = [first, first + Number(num_rows)] as const;
        first = rows[1];
        const own = chunks.filter(({ meta_data }) => columns.includes(meta_data?.path_in_schema[0] ?? ''));
        const bytes = own.reduce((sum, { meta_data }) => sum + Number(meta_data?.total_uncompressed_size ?? 0), 0);
        if (bytes <= largestGroup) return { rows, bytes };
        throw new RunnerError(
          'DataContract',
          `row group ${i} of ${table.key} has ${bytes} bytes, at most ${largestGroup}: write the file anew with smaller ones, with pyarrow row_group_size=1000`,
        );
      });
    },
  };
}

/** Rows [first, end) with these columns; bytes stay bytes. DataContract where they can't be decoded. */
export async function readRows(
  store: ShardStore,
  table: Table,
  columns: readonly string[],
  [rowStart, rowEnd]: readonly [number, number],
): Promise<Record<string, unknown>[]> {
  const file = fileOf(store, table);
  return asData(table, `can't be read from row ${rowStart} to ${rowEnd}`, () =>
    parquetReadObjects({ file, columns: [...columns], rowStart, rowEnd, compressors, utf8: false, geoparquet: false }),
  );
}

/** What reports call a row, counted from 0. */
export const rowName = ({ key }: Pick<Table, 'key'>, row: number): string =>
  `${key.slice(key.lastIndexOf('/') + 1)} row ${row + 1}`;

const fileOf = (store: ShardStore, table: Table): AsyncBuffer => ({
  byteLength: table.bytes,
  async slice(start, end = table.bytes) {
    // Places come from the file: none leads out of it.
    if (!(start >= 0 && end <= table.bytes && start <= end && end - start <= Math.max(largestGroup, largestFooter)))
      throw new RangeError(`bytes ${start} to ${end} of ${table.bytes}`);
    if (start === end) return new ArrayBuffer(0);
    const bytes = await readRange(store, table, start, end - start);
    return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
  },
});

/** What the reader throws on broken files is of many kinds; what the store throws is passed on. */
async function asData<T>({ key }: Table, what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isRunnerError(error)) throw error;
    const said = printable((error as Error).message.split('\n')[0]!).slice(0, 160);
    throw new RunnerError('DataContract', `${key} ${what} (${said}); fetch it again, or take it away from there`, {
      details: { table: key },
    });
  }
}

/** What Hugging Face's datasets says of the columns; nothing where it says nothing. */
function featuresOf({ key_value_metadata = [] }: FileMetaData): Record<string, unknown> {
  const said = key_value_metadata.find(({ key }) => key === 'huggingface')?.value;
  try {
    const { info } = JSON.parse(said ?? '{}') as { info?: { features?: unknown } };
    return isRecord(info?.features) ? info.features : {};
  } catch {
    return {};
  }
}
