import type { FileHandle } from 'node:fs/promises';

/** A member of a zip archive, as its central directory describes it. */
export interface ZipMember {
  readonly name: string;
  readonly deflated: boolean;
  /** Of its bytes as they lie in the archive, from the start of the file. */
  readonly offset: number;
  readonly storedBytes: number;
  readonly bytes: number;
}

type Fail = (problem: string) => Error;

const endOfDirectory = 0x06054b50;
const zip64Locator = 0x07064b50;
const zip64End = 0x06064b50;
const centralEntry = 0x02014b50;
const localEntry = 0x04034b50;
const mostMembers = 100_000;
const largestDirectory = 64 * 1024 * 1024;

/** Reads the directory of an archive; zip64 too, since tables of tokens are large. Nothing in it is trusted. */
export async function readZip(file: FileHandle, fail: Fail): Promise<ZipMember[]> {
  const { size } = await file.stat();
  const read = async (offset: number, length: number, what: string) => {
    if (!(offset >= 0 && length >= 0 && offset + length <= size)) throw fail(`its ${what} lies outside the file`);
    const bytes = Buffer.alloc(length);
    const { bytesRead } = await file.read(bytes, 0, length, offset);
    if (bytesRead < length) throw fail('it became shorter while it was read');
    return bytes;
  };
  const tailBytes = Math.min(size, 22 + 65_535);
  const tail = await read(size - tailBytes, tailBytes, 'end');
  let at = tail.length - 22;
  while (at >= 0 && tail.readUInt32LE(at) !== endOfDirectory) at--;
  if (at < 0) throw fail('it is no zip archive, or its end is missing');
  let [count, length, start] = [tail.readUInt16LE(at + 10), tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
  if (at >= 20 && tail.readUInt32LE(at - 20) === zip64Locator) {
    const end = await read(exact(tail.readBigUInt64LE(at - 20 + 8), fail), 56, 'zip64 directory');
    if (end.readUInt32LE(0) !== zip64End) throw fail('its zip64 directory is broken');
    [count, length, start] = [24 + 8, 40, 48].map((place) => exact(end.readBigUInt64LE(place), fail)) as [
      number,
      number,
      number,
    ];
  }
  if (count > mostMembers || length > largestDirectory) throw fail('its directory is larger than any of a model');
  const directory = await read(start, length, 'directory');
  const members: ZipMember[] = [];
  const names = new Set<string>();
  for (let place = 0, i = 0; i < count; i++) {
    if (place + 46 > directory.length || directory.readUInt32LE(place) !== centralEntry)
      throw fail('its directory is cut off');
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((o) => directory.readUInt16LE(place + o)) as [
      number,
      number,
      number,
    ];
    const name = directory.toString('utf8', place + 46, place + 46 + nameLength);
    const method = directory.readUInt16LE(place + 10);
    if (method !== 0 && method !== 8)
      throw fail(`member ${shown(name)} is packed in a way (${method}) that numpy does not write`);
    const extra = directory.subarray(place + 46 + nameLength, place + 46 + nameLength + extraLength);
    const [bytes, storedBytes, header] = sizesOf(directory, place, extra, fail);
    if (names.has(name)) throw fail(`it has the member ${shown(name)} twice`);
    names.add(name);
    const local = await read(header, 30, `member ${shown(name)}`);
    if (local.readUInt32LE(0) !== localEntry)
      throw fail(`member ${shown(name)} does not begin where the directory says`);
    const offset = header + 30 + local.readUInt16LE(26) + local.readUInt16LE(28);
    if (offset + storedBytes > size) throw fail(`member ${shown(name)} goes beyond the end of the file`);
    if (method === 0 && bytes !== storedBytes) throw fail(`member ${shown(name)} has two sizes`);
    members.push({ name, deflated: method === 8, offset, storedBytes, bytes });
    place += 46 + nameLength + extraLength + commentLength;
  }
  return members;
}

/** Size, stored size and place of the local header; those that do not fit 32 bits are in the zip64 field, in this order. */
function sizesOf(directory: Buffer, place: number, extra: Buffer, fail: Fail): [number, number, number] {
  const small = [24, 20, 42].map((offset) => directory.readUInt32LE(place + offset));
  let wide: Buffer = Buffer.alloc(0);
  for (let at = 0; at + 4 <= extra.length; at += 4 + extra.readUInt16LE(at + 2))
    if (extra.readUInt16LE(at) === 1) wide = extra.subarray(at + 4, at + 4 + extra.readUInt16LE(at + 2));
  let next = 0;
  return small.map((value) => {
    if (value !== 0xffffffff) return value;
    if (next + 8 > wide.length) throw fail('its directory lacks a size');
    next += 8;
    return exact(wide.readBigUInt64LE(next - 8), fail);
  }) as [number, number, number];
}

function exact(value: bigint, fail: Fail): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw fail('its directory claims sizes beyond all numbers');
  return Number(value);
}

const shown = (name: string) => JSON.stringify(name.slice(0, 100));
