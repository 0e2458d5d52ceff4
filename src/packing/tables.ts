import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
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

/**
 * A CSV or TSV with a header line, in UTF-8, or in UTF-16 with its mark. A row with more or fewer fields than that, or in another
 * encoding, is a fault; a file that breaks, or has a column twice, is an error.
 */
export async function* csvRows(store: Reads, table: Table): AsyncGenerator<Row> {
  const { key } = table;
  const records = parse({
    bom: true,
    // Bytes, since what is no UTF-8 would be mended by marks that nobody wrote. Of UTF-16 with its mark it gives texts.
    encoding: null,
    record_delimiter: ['\r\n', '\n', '\r'],
    delimiter: plainName(key).endsWith('.tsv') ? '\t' : ',',
    relax_column_count: true,
    relax_quotes: true,
    skip_empty_lines: true,
    max_record_size: longestLine,
  });
  const stream = Readable.from(withoutMark(await tableStream(store, table)));
  stream.on('error', (error) => records.destroy(error)).pipe(records);
  let header: readonly string[] | null = null;
  let number = 0;
  try {
    for await (const record of records as AsyncIterable<(Buffer | string)[]>) {
      if (header === null) {
        header = record.map((name) => name.toString().trim());
        refuseTwice(key, header);
        continue;
      }
      const name = `${tail(key)} row ${++number}`;
      if (record.length !== header.length)
        yield {
          name,
          fault: `the row has another number of fields than the header: ${record.length}, not ${header.length}`,
        };
      else {
        const foreign = record.findIndex((field) => typeof field !== 'string' && !isUtf8(field));
        if (foreign >= 0)
          yield {
            name,
            fault: `the row has another encoding: ${printable(header[foreign]!)} is not UTF-8; save the table as UTF-8`,
          };
        else yield { name, row: Object.fromEntries(header.map((column, i) => [column, record[i]!.toString()])) };
      }
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

/** UTF-8 without its byte order mark, for which csv-parse would give texts in place of bytes. */
async function* withoutMark(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let first = true;
  for await (const chunk of chunks) {
    yield first && chunk.toString('latin1', 0, 3) === '\xef\xbb\xbf' ? chunk.subarray(3) : chunk;
    first = false;
  }
}

/** Of two columns of one name one would be lost. */
function refuseTwice(key: string, header: readonly string[]): void {
  const twice = header.find((name, i) => name !== '' && header.indexOf(name) < i);
  if (twice !== undefined)
    throw new RunnerError(
      'DataContract',
      `${key} has the column ${printable(twice)} twice; give one of them another name, and start again`,
    );
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
