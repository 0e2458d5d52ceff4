import { parse } from 'csv-parse';
import { RunnerError } from '../runtime/errors.ts';
import { isRecord, readJsonText } from '../runtime/json-text.ts';
import { printable } from '../runtime/printable.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { objectsIn } from './json-array.ts';
import { linesOf, longestLine } from './lines.ts';
import { plainName, tableStream } from './table-stream.ts';
import type { Table } from './types.ts';

/** A row of a table, and what it is called; or what is wrong with it. */
export type Row =
  | { readonly name: string; readonly row: Readonly<Record<string, unknown>> }
  | { readonly name: string; readonly fault: string };

type Reads = Pick<ObjectStore, 'stream'>;

/** One JSON object a line. A line that is none is a fault; blank ones are passed over. */
export async function* jsonlRows(store: Reads, table: Table): AsyncGenerator<Row> {
  const { key } = table;
  let number = 0;
  for await (const line of linesOf(await tableStream(store, table))) {
    const name = `${tail(key)} line ${++number}`;
    if ('tooLong' in line) {
      yield { name, fault: `the line is too long: ${line.tooLong} bytes, at most ${longestLine}` };
      continue;
    }
    if (line.bytes.every((byte) => byte <= 32)) continue;
    const { value, problem } = readJsonText(line.bytes, { nan: true });
    if (problem !== undefined) yield { name, fault: `the line can't be read: ${problem}` };
    else if (!isRecord(value)) yield { name, fault: 'the line is no JSON object' };
    else yield { name, row: value };
  }
}

/** A CSV or TSV with a header line. A row with more or fewer fields than that is a fault; a file that breaks is an error. */
export async function* csvRows(store: Reads, table: Table): AsyncGenerator<Row> {
  const { key } = table;
  const records = parse({
    bom: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    delimiter: plainName(key).endsWith('.tsv') ? '\t' : ',',
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: longestLine,
  });
  const stream = await tableStream(store, table);
  stream.on('error', (error) => records.destroy(error)).pipe(records);
  let header: readonly string[] | null = null;
  let number = 0;
  try {
    for await (const record of records as AsyncIterable<string[]>) {
      if (header === null) {
        header = record.map((name) => name.trim());
        continue;
      }
      const name = `${tail(key)} row ${++number}`;
      if (record.length !== header.length)
        yield {
          name,
          fault: `the row has another number of fields than the header: ${record.length}, not ${header.length}`,
        };
      else yield { name, row: Object.fromEntries(header.map((column, i) => [column, record[i]])) };
    }
  } catch (error) {
    if (!String((error as { code?: unknown }).code).startsWith('CSV_')) throw error;
    const said = (error as Error).message.split('\n')[0]!.slice(0, 200);
    throw new RunnerError(
      'DataContract',
      `${key} is no whole CSV after row ${number}: ${printable(said)}; mend it, and start again`,
    );
  }
}

/** Karpathy's splits of COCO and Flickr: {"images": [{"filename", "filepath", "split", "sentences": [{"raw"}]}]}. */
export async function* karpathyRows(store: Reads, table: Table): AsyncGenerator<Row> {
  const { key } = table;
  let number = 0;
  for await (const bytes of objectsIn(await tableStream(store, table), 'images')) {
    if (bytes === null)
      throw new RunnerError(
        'DataContract',
        `${key} breaks off after ${number} entries of "images", or has none: it is no whole JSON of Karpathy's splits; fetch it again`,
      );
    const name = `${tail(key)} image ${++number}`;
    const { value, problem } = readJsonText(bytes, { nan: true });
    if (problem !== undefined) yield { name, fault: `the entry can't be read: ${problem}` };
    else {
      const { filename, filepath, sentences, split } = value as Record<string, unknown>;
      const path = typeof filepath === 'string' && filepath !== '' ? `${filepath}/` : '';
      const file = typeof filename === 'string' ? `${path}${filename}` : undefined;
      yield { name, row: { file_name: file, sentences, split } };
    }
  }
}

/** The last part of a key, as reports show it. */
export const tail = (key: string) => printable(key.slice(key.lastIndexOf('/') + 1));
