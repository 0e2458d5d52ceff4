import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseLine } from './line.ts';
import { parseHeader, parseJson, type SegmentHeader, segmentKey } from './segment.ts';

/** While a worker still writes it; a successor that finds one so knows that its writer was killed. */
export const openEnd = '.open';
export const closedEnd = '.jsonl';

/**
 * A segment on the local disk, written line by line, each by one call of the system: what was said before a kill -9 is
 * in it. After a loss of power the last seconds may be missing, since nothing is waited for.
 */
export class SegmentFile {
  readonly #path: string;
  readonly #file: number;
  /** Of its first line, in milliseconds since 1970. */
  readonly began: number;
  bytes = 0;

  /** Throws what the disk says. */
  constructor(folder: string, header: SegmentHeader, began: number) {
    this.began = began;
    this.#path = join(folder, String(header.sequence).padStart(6, '0'));
    this.#file = openSync(this.#path + openEnd, 'a', 0o600);
    try {
      this.write(`${JSON.stringify(header)}\n`);
    } catch (error) {
      closeSync(this.#file);
      rmSync(this.#path + openEnd, { force: true });
      throw error;
    }
  }

  /** Throws what the disk says; what it took of the line then, a reader leaves out. */
  write(line: string): void {
    this.bytes += writeSync(this.#file, line);
  }

  /** Closes it and returns its path: it never changes again. */
  close(): string {
    closeSync(this.#file);
    renameSync(this.#path + openEnd, this.#path + closedEnd);
    return this.#path + closedEnd;
  }
}

/** The object that a file becomes; null for one that is gone, or without a header and a line, of a disk that was full. */
export function objectOf(path: string): { readonly key: string; readonly body: string } | null {
  if (!existsSync(path)) return null;
  const body = readFileSync(path, 'utf8');
  const [first = '', ...lines] = body.split('\n');
  const header = parseHeader(parseJson(first));
  const line = lines.map((text) => parseLine(parseJson(text))).find((found) => found !== null);
  return header && line ? { key: segmentKey(header, line.time), body } : null;
}

/**
 * Closes the file of a worker that was killed, with a last line that says so. Its time is that of the line before, so
 * that whoever does it twice writes the same.
 */
export function closeLeft(path: string): string {
  const closed = path.slice(0, -openEnd.length) + closedEnd;
  const text = readFileSync(path, 'utf8');
  // A kill, or a full disk, may have cut its last line.
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const last = parseLine(parseJson(whole.trimEnd().split('\n').at(-1) ?? ''));
  const said = 'the worker was killed after this, or its machine stopped; the next one on its disk sent these lines';
  const end = last && last.text !== said ? `${JSON.stringify({ time: last.time, level: 'warn', text: said })}\n` : '';
  writeFileSync(`${closed}.part`, whole + end, { mode: 0o600 });
  renameSync(`${closed}.part`, closed);
  return closed;
}
