import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { inflateRaw } from 'node:zlib';
import { RunnerError } from '../../runtime/errors.ts';
import { foreignKind, kindBytes } from '../../runtime/file-kind.ts';
import { type FloatType, toFloat32 } from '../../safetensors/float-bytes.ts';
import { readZip, type ZipMember } from './zip.ts';

/** An array of an npz archive; its numbers are read when they are asked for. */
export interface NpzArray {
  readonly shape: readonly number[];
  /** `count` numbers from the `first` on, row by row. */
  floats(first: number, count: number): Promise<Float32Array>;
}

const types: Readonly<Record<string, FloatType>> = { '<f4': 'F32', '<f2': 'F16', '|V2': 'BF16', '<V2': 'BF16' };
/** A packed array is unpacked whole. */
const largestPacked = 2 ** 31;

/** An npz archive as numpy writes it, packed or not. RecipeInvalid with the array at fault. */
export class NpzFile {
  readonly arrays: ReadonlyMap<string, NpzArray>;
  readonly #file: FileHandle;

  private constructor(file: FileHandle, arrays: ReadonlyMap<string, NpzArray>) {
    this.#file = file;
    this.arrays = arrays;
  }

  /** `of` chooses by name: whatever else lies in the archive, of any type, is not looked at. */
  static async open(path: string, of: (names: readonly string[]) => readonly string[]): Promise<NpzFile> {
    const fail = (problem: string) =>
      new RunnerError('RecipeInvalid', `${path} is not a model of big_vision that can be used: ${problem}`);
    const file = await open(path, 'r').catch((cause) => {
      throw fail(`it can't be read (${cause.code})`);
    });
    try {
      const start = Buffer.alloc(kindBytes);
      const { bytesRead } = await file.read(start, 0, kindBytes, 0);
      const kind = start.toString('latin1', 0, 2) === 'PK' ? null : foreignKind(start.subarray(0, bytesRead));
      if (kind !== null) throw fail(`it is ${kind}`);
      const unpacked = new Unpacked(file);
      const members = new Map(
        (await readZip(file, fail)).map((member) => [member.name.replace(/\.npy$/, ''), member] as const),
      );
      const arrays = new Map<string, NpzArray>();
      for (const name of of([...members.keys()])) {
        const failArray = (problem: string) => fail(`array ${JSON.stringify(name.slice(0, 200))} ${problem}`);
        arrays.set(name, await arrayOf(members.get(name)!, unpacked, failArray));
      }
      return new NpzFile(file, arrays);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

async function arrayOf(member: ZipMember, unpacked: Unpacked, fail: (problem: string) => Error): Promise<NpzArray> {
  if (member.deflated && member.bytes > largestPacked) throw fail(`is packed and claims ${member.bytes} bytes`);
  const head = await unpacked.read(member, 0, Math.min(member.bytes, 12), fail);
  if (head.length < 12 || head.toString('latin1', 0, 6) !== '\x93NUMPY') throw fail('is no npy array');
  const wide = head[6]! > 1;
  const headerBytes = wide ? head.readUInt32LE(8) : head.readUInt16LE(8);
  const start = (wide ? 12 : 10) + headerBytes;
  if (headerBytes > 65_536 || start > member.bytes) throw fail('has a header beyond its end');
  const header = (await unpacked.read(member, wide ? 12 : 10, headerBytes, fail)).toString('latin1');
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1] ?? '';
  const type = types[descr];
  if (type === undefined)
    throw fail(`has the type ${JSON.stringify(descr.slice(0, 40))}; <f4, <f2 and bfloat16 are allowed`);
  if (!/'fortran_order':\s*False/.test(header)) throw fail('is stored column by column; row by row is allowed');
  const shapeText = /'shape':\s*\(([\d,\s]*)\)/.exec(header)?.[1];
  if (shapeText === undefined) throw fail('has no shape');
  const shape = shapeText.split(',').flatMap((side) => (side.trim() === '' ? [] : [Number(side)]));
  const size = shape.reduce((a, b) => a * b, 1);
  const width = type === 'F32' ? 4 : 2;
  if (!Number.isSafeInteger(size * width) || size * width !== member.bytes - start)
    throw fail(`of shape [${shape}] takes ${size * width} bytes, and has ${member.bytes - start}`);
  return {
    shape,
    async floats(first, count) {
      const bytes = toFloat32(await unpacked.read(member, start + first * width, count * width, fail), type);
      return new Float32Array(bytes.buffer, bytes.byteOffset, count);
    },
  };
}

/** Reads parts of members; of packed ones the last that was asked for is kept whole. */
class Unpacked {
  readonly #file: FileHandle;
  #held: { readonly name: string; readonly bytes: Buffer } | null = null;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async read(member: ZipMember, first: number, count: number, fail: (problem: string) => Error): Promise<Buffer> {
    if (!member.deflated) return this.#stored(member.offset + first, count, fail);
    if (this.#held?.name !== member.name) {
      const packed = await this.#stored(member.offset, member.storedBytes, fail);
      const options = { maxOutputLength: Math.max(1, member.bytes) };
      const bytes = await promisify<Buffer, object, Buffer>(inflateRaw)(packed, options).catch(() => {
        throw fail('can not be unpacked to the size that it claims');
      });
      if (bytes.length !== member.bytes) throw fail(`unpacks to ${bytes.length} bytes and claims ${member.bytes}`);
      this.#held = { name: member.name, bytes };
    }
    // A copy: views of other types need its start to be aligned.
    return Buffer.from(this.#held!.bytes.subarray(first, first + count));
  }

  async #stored(offset: number, count: number, fail: (problem: string) => Error): Promise<Buffer> {
    const bytes = Buffer.from(new ArrayBuffer(count));
    for (let read = 0; read < count; ) {
      const { bytesRead } = await this.#file.read(bytes, read, count - read, offset + read);
      if (bytesRead === 0) throw fail('became shorter while it was read');
      read += bytesRead;
    }
    return bytes;
  }
}
