import { longestLine } from './lines.ts';

const [quote, backslash, open, close, openList, closeList] = [...'"\\{}[]'].map((one) => one.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
  number,
  number,
];

/**
 * The bytes of the objects in the list of a field of a JSON document, one after another: {"images": [{...}, {...}]}. No more
 * than one is held; fields beside it are passed over. Gives null at the end where the list was not closed.
 */
export async function* objectsIn(chunks: AsyncIterable<Buffer>, field: string): AsyncGenerator<Buffer | null> {
  let depth = 0;
  let inString = false;
  let escaped = false;
  /** The string that was read last, as far as a name of a field goes. */
  let name = '';
  let inList = false;
  /** Of an object that goes on in the next chunk. */
  let held: Buffer | null = null;
  for await (const chunk of chunks) {
    let from: number = held === null ? -1 : 0;
    const parts: Buffer[] = held === null ? [] : [held];
    for (let i = 0; i < chunk.length; i++) {
      const byte = chunk[i]!;
      if (inString) {
        if (escaped) escaped = false;
        else if (byte === backslash) escaped = true;
        else if (byte === quote) inString = false;
        else if (depth === 1 && name.length < 64) name += String.fromCharCode(byte);
        continue;
      }
      if (byte === quote) {
        inString = true;
        if (depth === 1) name = '';
      } else if (byte === open || byte === openList) {
        if (depth === 1 && byte === openList && name === field) inList = true;
        if (inList && depth === 2 && byte === open) from = i;
        depth++;
      } else if (byte === close || byte === closeList) {
        depth--;
        if (inList && depth === 2 && from >= 0) {
          yield Buffer.concat([...parts.splice(0), chunk.subarray(from, i + 1)]);
          from = -1;
        }
        if (inList && depth === 1) return;
      }
    }
    held = from < 0 ? null : Buffer.concat([...parts, chunk.subarray(from)]);
    // No picture is described at such length: the document is broken.
    if (held !== null && held.length > longestLine) break;
  }
  yield null;
}
