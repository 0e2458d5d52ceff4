import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

/**
 * Calls `onLine` with each line of a stream, as UTF-8; bytes that are none become U+FFFD. Of a line that does not end, the
 * first `longest` characters are told, with a count of the rest: it may be as long as it likes, and takes no memory.
 * A carriage return ends a line too, as progress bars have it.
 */
export function readLines(stream: Readable, onLine: (line: string) => void, longest = 16_384): void {
  const decoder = new StringDecoder('utf8');
  let line = '';
  let more = 0;
  const add = (part: string) => {
    const room = longest - line.length;
    line += part.slice(0, room);
    more += Math.max(0, part.length - room);
  };
  const end = () => {
    onLine(more > 0 ? `${line} ... (${more} characters more)` : line);
    line = '';
    more = 0;
  };
  let afterReturn = false;
  const take = (text: string) => {
    const parts = (afterReturn && text.startsWith('\n') ? text.slice(1) : text).split(/\r\n|[\r\n]/);
    if (text !== '') afterReturn = text.endsWith('\r');
    for (const [i, part] of parts.entries()) {
      if (i > 0) end();
      add(part);
    }
  };
  stream.on('data', (bytes: Buffer) => take(decoder.write(bytes)));
  stream.on('end', () => {
    take(decoder.end());
    if (line !== '') end();
  });
  // A pipe that breaks has said what it said.
  stream.on('error', () => {});
}
