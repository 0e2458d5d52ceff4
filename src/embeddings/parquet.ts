import type { FileHandle } from 'node:fs/promises';
import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
import { keysOf, type RowBlock } from './rows.ts';

/** A row: its key and a list of float32, as pyarrow, DuckDB and `datasets` read it. */
const schemaOf = (texts: boolean): SchemaElement[] => {
  const required = { repetition_type: 'REQUIRED' } as const;
  const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', ...required } as const;
  const own: SchemaElement[] = texts
    ? [
        { name: 'language', ...text },
        { name: 'caption', type: 'INT32', ...required },
      ]
    : [];
  return [
    { name: 'root', num_children: 3 + own.length },
    { name: 'shard', ...text },
    { name: 'name', ...text },
    ...own,
    { name: 'embedding', ...required, converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', type: 'FLOAT', ...required },
  ];
};

/**
 * Rows as Parquet, a row group for each block: a block is in memory, and of those before it what the footer says of them. Numbers
 * are written as they are: what is trained does not compress.
 */
export class ParquetFile {
  readonly #file: FileHandle;
  readonly #bytes = new ByteWriter();
  readonly #parquet: ParquetWriter;
  readonly #texts: boolean;

  constructor(file: FileHandle, texts: boolean) {
    this.#file = file;
    this.#texts = texts;
    const schema = schemaOf(texts);
    this.#parquet = new ParquetWriter({
      writer: this.#bytes,
      schema,
      codec: 'UNCOMPRESSED',
      createdBy: 'siglip2-runner',
    });
  }

  async add(block: RowBlock): Promise<void> {
    const { rows, width } = block;
    const keys = keysOf(block);
    const own = this.#texts
      ? [
          { name: 'language', data: keys.map(({ language }) => language!) },
          { name: 'caption', data: Int32Array.from(keys, ({ caption }) => caption!) },
        ]
      : [];
    await this.#parquet.write({
      columnData: [
        { name: 'shard', data: keys.map(({ shard }) => shard) },
        { name: 'name', data: keys.map(({ name }) => name) },
        ...own,
        {
          name: 'embedding',
          data: keys.map((_, i) => Array.from(rows.subarray(i * width, (i + 1) * width))),
          statistics: false,
          encoding: 'PLAIN',
        },
      ],
      rowGroupSize: keys.length,
    });
    await this.#flush();
  }

  async end(): Promise<void> {
    await this.#parquet.finish();
    await this.#flush();
  }

  async #flush(): Promise<void> {
    await this.#file.write(this.#bytes.getBytes());
    // What was written is needed no more; places in the file go on.
    this.#bytes.index = 0;
  }
}
