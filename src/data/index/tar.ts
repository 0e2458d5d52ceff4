/**
 * Finds the members of a tar file without reading their content. Handles ustar, pax and GNU long names. Nothing in
 * the file is trusted: sizes must lie within it, names are only ever compared, and behind a broken header reading
 * goes on at the next block that is a header.
 */
export interface TarMember {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

export interface TarFault {
  readonly name: string;
  readonly fault: string;
}

type Read = (offset: number, size: number) => Promise<Buffer>;

interface Header {
  readonly name: string;
  readonly size: number;
  readonly type: string;
}

const block = 512;
// Extended headers hold a name and a few numbers; a larger one is an attack or damage.
const longestExtension = 64 * 1024;

/** Regular files in the order of the tar, and what could not be read. `bytes` is the size of the tar file. */
export async function* tarMembers(read: Read, bytes: number): AsyncGenerator<TarMember | TarFault> {
  let longName: string | null = null;
  let longSize: number | null = null;
  let lost = false;
  let zeros = 0;
  let at = 0;
  while (at + block <= bytes) {
    const bytesOfHeader = await read(at, block);
    if (bytesOfHeader.every((byte) => byte === 0)) {
      if (++zeros === 2) return;
      at += block;
      continue;
    }
    zeros = 0;
    const header = parseHeader(bytesOfHeader, lost);
    if (header === null) {
      if (!lost) yield { name: longName ?? `byte ${at}`, fault: 'broken tar header' };
      lost = true;
      longName = longSize = null;
      at += block;
      continue;
    }
    lost = false;
    const extension = 'xgLK'.includes(header.type);
    const name = extension ? header.name : (longName ?? header.name);
    const size = extension ? header.size : (longSize ?? header.size);
    const start = at + block;
    if (start + size > bytes) {
      yield { name, fault: `ends beyond the shard: ${size} bytes from byte ${start} of ${bytes}` };
      return;
    }
    at = start + Math.ceil(size / block) * block;
    if (extension) {
      if (size > longestExtension) {
        yield { name, fault: `extended header of ${size} bytes, at most ${longestExtension}` };
      } else if (header.type === 'L') {
        longName = text(await read(start, size));
      } else if (header.type === 'x') {
        const records = parsePax(await read(start, size));
        longName = records.get('path') ?? longName;
        const paxSize = Number(records.get('size') ?? Number.NaN);
        longSize = Number.isSafeInteger(paxSize) && paxSize >= 0 ? paxSize : null;
      }
      continue;
    }
    longName = longSize = null;
    if (header.type === '0' || header.type === '\0' || header.type === '7') yield { name, offset: start, size };
  }
  // What was lost has been told.
  if (lost || zeros > 0) return;
  const name = longName ?? `byte ${Math.min(at, bytes)}`;
  if (bytes === 0) yield { name, fault: 'the shard is empty' };
  else if (at < bytes) yield { name, fault: `the shard ends within a header: ${bytes - at} bytes of ${block}` };
  else yield { name, fault: 'the shard has no end mark: it was cut off between two members, or written without one' };
}

/** `strict`: only what is marked as ustar, for blocks that may be any content. */
function parseHeader(header: Buffer, strict: boolean): Header | null {
  const stored = octal(header.subarray(148, 156));
  let sum = 8 * 32;
  for (let i = 0; i < block; i++) if (i < 148 || i >= 156) sum += header[i]!;
  if (stored !== sum) return null;
  const ustar = header.toString('latin1', 257, 262) === 'ustar';
  if (strict && !ustar) return null;
  const size = header[124]! & 0x80 ? base256(header.subarray(124, 136)) : octal(header.subarray(124, 136));
  if (size === null) return null;
  const prefix = ustar && header[262] === 0 ? text(header.subarray(345, 500)) : '';
  const name = text(header.subarray(0, 100));
  return { name: prefix ? `${prefix}/${name}` : name, size, type: String.fromCharCode(header[156]!) };
}

function octal(field: Buffer): number | null {
  const digits = field.toString('latin1').replace(/^ +|[ \0]+$/g, '');
  return /^[0-7]*$/.test(digits) ? Number.parseInt(digits || '0', 8) : null;
}

function base256(field: Buffer): number | null {
  if (field[0] !== 0x80) return null;
  let value = 0;
  for (const byte of field.subarray(1)) value = value * 256 + byte;
  return Number.isSafeInteger(value) ? value : null;
}

function text(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? field.length : end);
}

/** Records are `<length> <key>=<value>\n`, the length counting itself. */
function parsePax(body: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(32, at);
    const length = space === -1 ? Number.NaN : Number(body.toString('latin1', at, space));
    if (!Number.isSafeInteger(length) || length <= space - at || at + length > body.length) break;
    const record = body.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    if (equals > 0) records.set(record.slice(0, equals), record.slice(equals + 1));
    at += length;
  }
  return records;
}
