import { parquetWriteBuffer } from 'hyparquet-writer';

/** A column as Parquet has it: its elements, of which the first has its name, and what its rows are. */
export interface ParquetColumn {
  readonly schema: readonly { readonly name: string }[];
  readonly data: readonly unknown[];
}

const optional = { repetition_type: 'OPTIONAL' } as const;
export const bytesOf = (name: string) => ({ name, type: 'BYTE_ARRAY', ...optional });
export const textOf = (name: string) => ({ ...bytesOf(name), converted_type: 'UTF8' });

/** A list of what `element` is, which has the members that follow it where it is a struct. */
export const listOf = (name: string, element: object, ...members: readonly { readonly name: string }[]) => [
  { name, ...optional, converted_type: 'LIST', num_children: 1 },
  { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
  { ...optional, ...element, name: 'element' },
  ...members,
];

export function parquetFile(columns: readonly ParquetColumn[], rowGroupSize?: number): Buffer {
  const root = { name: 'root', num_children: columns.length };
  return Buffer.from(
    parquetWriteBuffer({
      schema: [root, ...columns.flatMap(({ schema }) => schema)],
      columnData: columns.map(({ schema, data }) => ({ name: schema[0]!.name, data })),
      ...(rowGroupSize !== undefined && { rowGroupSize }),
    } as Parameters<typeof parquetWriteBuffer>[0]),
  );
}
