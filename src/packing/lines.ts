/** A line of a file of lines: its bytes without the line end, or how many it has where it is too long. */
export type Line = { readonly bytes: Buffer } | { readonly tooLong: number };

/** A row is a row: what is longer is no table. */
export const longestLine = 4 * 1024 * 1024;

/** The lines of a stream, of which no more than one is held. */
export async function* linesOf(chunks: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  let held: Buffer[] = [];
  let length = 0;
  const add = (bytes: Buffer) => {
    length += bytes.length;
    if (length <= longestLine) held.push(bytes);
    else held = [];
  };
  const line = (): Line => {
    const bytes = Buffer.concat(held);
    const found =
      length > longestLine ? { tooLong: length } : { bytes: bytes.at(-1) === 13 ? bytes.subarray(0, -1) : bytes };
    held = [];
    length = 0;
    return found;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      add(chunk.subarray(start, end));
      yield line();
      start = end + 1;
    }
    add(chunk.subarray(start));
  }
  if (length > 0) yield line();
}
