import type { RunnerError } from '../runtime/errors.ts';
import { parseHeader, type TensorInfo } from './safetensors-header.ts';

/** The bytes [offset, offset + size) of a file, wherever it lies. */
export type ReadRange = (offset: number, size: number) => Promise<Uint8Array>;

/** What is read of a safetensors file in parts. */
export interface TensorParts {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
  info(name: string): TensorInfo;
  /** Some bytes of a tensor, from `from` on, at the start of a buffer of their own, or in `into`, which has their size. */
  readPart(name: string, from: number, size: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** Where some bytes of a tensor begin in its file. */
export function placeOfPart(
  { offset, bytes }: TensorInfo,
  name: string,
  from: number,
  size: number,
  fail: (problem: string) => RunnerError,
): number {
  if (from >= 0 && size >= 0 && from + size <= bytes) return offset + from;
  throw fail(`tensor ${name} has ${bytes} bytes, and ${size} from ${from} on are wanted`);
}

const largestHeader = 16 * 1024 * 1024;

/** A safetensors file that is read in ranges, such as an object of `bytes` bytes. `fail` says what is wrong with it. */
export async function openRanged(
  path: string,
  bytes: number,
  read: ReadRange,
  fail: (problem: string) => RunnerError,
): Promise<TensorParts> {
  if (bytes < 8) throw fail(`it has ${bytes} bytes, and the length of its header alone takes 8`);
  const start = await read(0, 8);
  const length = Number(new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true));
  if (length > largestHeader || 8 + length > bytes) throw fail(`it claims a header of ${length} bytes`);
  const { tensors, metadata } = parseHeader(Buffer.from(await read(8, length)), bytes - 8 - length, fail);
  const info = (name: string) => {
    const found = tensors.get(name);
    if (!found) throw fail(`it has no tensor ${name}`);
    return found;
  };
  return {
    path,
    tensors,
    metadata,
    info,
    async readPart(name, from, size, into = new Uint8Array(size)) {
      const place = placeOfPart(info(name), name, from, size, fail);
      if (size > 0) into.set(await read(place, size));
      return into;
    },
    close: async () => undefined,
  };
}

/**
 * Reads ahead: who asks for ranges of a file of `bytes` bytes in its order makes a request for each `window` bytes, which
 * are what is held.
 */
export function readingAhead(read: ReadRange, bytes: number, window = 8 * 1024 * 1024): ReadRange {
  let first = 0;
  let held: Uint8Array = new Uint8Array();
  return async (offset, size) => {
    if (offset < first || offset + size > first + held.length) {
      held = await read(offset, Math.min(Math.max(size, window), bytes - offset));
      first = offset;
    }
    return held.subarray(offset - first, offset - first + size);
  };
}
