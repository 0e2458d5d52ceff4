import { type FileHandle, open } from 'node:fs/promises';
import { RunnerError } from '../runtime/errors.ts';
import { foreignKind, kindBytes } from '../runtime/file-kind.ts';
import { dtypeBytes } from './dtypes.ts';
import { placeOfPart } from './ranged.ts';
import { parseHeader, type TensorInfo } from './safetensors-header.ts';

export { type Dtype, dtypeBytes } from './dtypes.ts';
export { openRanged, type ReadRange, readingAhead, type TensorParts } from './ranged.ts';
export { replaceRows, scatterRows } from './rows.ts';
export {
  chunksOf,
  inFileOrder,
  SafetensorsOutput,
  safetensorsSize,
  type TensorToWrite,
  writeSafetensors,
} from './safetensors-write.ts';

/** What the reference implementation allows. */
const largestHeader = 100_000_000;

/**
 * A safetensors file, open for reading. Nothing in it is trusted: sizes, offsets and names are checked before the
 * first tensor is read, and tensors are read one at a time, or a few rows of one.
 */
export class SafetensorsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #file: FileHandle;
  readonly #code: FileErrorCode;

  private constructor(path: string, file: FileHandle, code: FileErrorCode, header: ReturnType<typeof parseHeader>) {
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.path = path;
    this.#file = file;
    this.#code = code;
  }

  /** `code`: CheckpointDamaged for files of ours, RecipeInvalid for files that a user brings. */
  static async open(path: string, code: FileErrorCode = 'CheckpointDamaged'): Promise<SafetensorsFile> {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      const fail = (problem: string) => fileError(code, path, problem);
      const start = await readFully(file, 0, Math.min(size, kindBytes), fail);
      // Only of a file that is none: the length of a header may look like the beginning of anything.
      const kind = () => foreignKind(start)?.replace(/^/, 'it is ');
      if (size < 8) throw fail(kind() ?? `it has ${size} bytes, and the length of its header alone takes 8`);
      const length = start.readBigUInt64LE();
      if (length > largestHeader)
        throw fail(kind() ?? `its header claims ${length} bytes; at most ${largestHeader} are allowed`);
      if (8 + Number(length) > size)
        throw fail(kind() ?? `its header of ${length} bytes goes beyond its ${size} bytes`);
      const json = await readFully(file, 8, Number(length), fail);
      return new SafetensorsFile(path, file, code, parseHeader(json, size - 8 - Number(length), fail));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Little-endian bytes of a tensor, at the start of a buffer of their own. */
  async read(name: string): Promise<Uint8Array<ArrayBuffer>> {
    const { offset, bytes } = this.info(name);
    const target = new Uint8Array(bytes);
    await readInto(this.#file, target, offset, (problem) => this.#fail(`${problem} in tensor ${name}`));
    return target;
  }

  /** The bytes of a tensor, at most `size` at a time, each written over by the next. */
  async *chunks(name: string, size: number): AsyncGenerator<Uint8Array> {
    const { offset, bytes } = this.info(name);
    const memory = new Uint8Array(Math.min(size, bytes));
    for (let done = 0; done < bytes; done += size) {
      const chunk = memory.subarray(0, bytes - done);
      await readInto(this.#file, chunk, offset + done, (problem) => this.#fail(`${problem} in tensor ${name}`));
      yield chunk;
    }
  }

  /** Some bytes of a tensor, from `from` on, at the start of a buffer of their own, or in `into`, which has their size. */
  async readPart(
    name: string,
    from: number,
    size: number,
    into: Uint8Array<ArrayBuffer> = new Uint8Array(size),
  ): Promise<Uint8Array<ArrayBuffer>> {
    const place = placeOfPart(this.info(name), name, from, size, (problem) => this.#fail(problem));
    await readInto(this.#file, into, place, (problem) => this.#fail(`${problem} in tensor ${name}`));
    return into;
  }

  /** Of a tensor that must be F32, and of this shape if one is given. */
  floats(name: string, shape?: readonly number[]): TensorInfo {
    const info = this.info(name);
    if (info.dtype !== 'F32') throw this.#fail(`tensor ${name} is ${info.dtype}, and F32 is wanted`);
    if (shape && shape.join() !== info.shape.join())
      throw this.#fail(`tensor ${name} has the shape [${info.shape}], and [${shape}] is wanted`);
    return info;
  }

  /** The numbers of one. */
  async readFloats(name: string, shape?: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    this.floats(name, shape);
    return new Float32Array((await this.read(name)).buffer);
  }

  /** Chosen rows (first axis) of a tensor, one after another; neighbours are read at once. */
  async readRows(name: string, rows: readonly number[]): Promise<Uint8Array<ArrayBuffer>> {
    const { dtype, shape, offset } = this.info(name);
    const rowBytes = shape.slice(1).reduce((product, size) => product * size, dtypeBytes[dtype]);
    const target = new Uint8Array(rows.length * rowBytes);
    for (let first = 0; first < rows.length; ) {
      let next = first + 1;
      while (next < rows.length && rows[next] === rows[next - 1]! + 1) next++;
      for (const row of [rows[first]!, rows[next - 1]!])
        if (!(Number.isInteger(row) && row >= 0 && row < (shape[0] ?? 0)))
          throw this.#fail(`tensor ${name} has ${shape[0] ?? 0} rows, and row ${row} is wanted`);
      const run = target.subarray(first * rowBytes, next * rowBytes);
      await readInto(this.#file, run, offset + rows[first]! * rowBytes, (problem) =>
        this.#fail(`${problem} in tensor ${name}`),
      );
      first = next;
    }
    return target;
  }

  info(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (!info) throw this.#fail(`it has no tensor ${name}`);
    return info;
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #fail(problem: string): RunnerError {
    return fileError(this.#code, this.path, problem);
  }
}

type FileErrorCode = 'CheckpointDamaged' | 'RecipeInvalid';

function fileError(code: FileErrorCode, path: string, problem: string): RunnerError {
  const next = code === 'RecipeInvalid' ? 'give a file that safetensors itself can read' : 'fetch the checkpoint again';
  return new RunnerError(code, `${path} is not a safetensors file that can be used: ${problem}; ${next}`);
}

async function readFully(file: FileHandle, offset: number, bytes: number, fail: (problem: string) => RunnerError) {
  const target = Buffer.alloc(bytes);
  await readInto(file, target, offset, fail);
  return target;
}

async function readInto(file: FileHandle, target: Uint8Array, offset: number, fail: (problem: string) => RunnerError) {
  for (let read = 0; read < target.length; ) {
    const { bytesRead } = await file.read(target, read, target.length - read, offset + read);
    if (bytesRead === 0) throw fail('it became shorter while it was read');
    read += bytesRead;
  }
}
