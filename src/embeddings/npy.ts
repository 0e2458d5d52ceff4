import type { FileHandle } from 'node:fs/promises';

/**
 * The header of a NumPy file, format 1.0, of little-endian float32 in C order: numpy.lib.format. It is padded with spaces to
 * whole 64 bytes, so that the numbers can be mapped into memory.
 *
 * @param shape such as [rows, width]
 */
export function npyHeader(shape: readonly number[]): Buffer {
  const dimensions = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${dimensions}), }`;
  const before = 10;
  const length = Math.ceil((before + text.length + 1) / 64) * 64 - before;
  const head = Buffer.alloc(before);
  head.write('\x93NUMPY', 'latin1');
  head.writeUInt8(1, 6);
  head.writeUInt16LE(length, 8);
  return Buffer.concat([head, Buffer.from(`${text.padEnd(length - 1)}\n`, 'latin1')]);
}

/** Writes rows one block after another behind the header; memory is a block. RangeError where they are not as many as was said. */
export class NpyFile {
  readonly #file: FileHandle;
  #left: number;

  private constructor(file: FileHandle, numbers: number) {
    this.#file = file;
    this.#left = numbers;
  }

  static async begin(file: FileHandle, shape: readonly number[]): Promise<NpyFile> {
    await file.write(npyHeader(shape));
    return new NpyFile(
      file,
      shape.reduce((product, size) => product * size, 1),
    );
  }

  async add({ buffer, byteOffset, byteLength, length }: Float32Array): Promise<void> {
    this.#left -= length;
    if (this.#left < 0) throw new RangeError(`there are ${-this.#left} numbers more than the header says`);
    await this.#file.write(new Uint8Array(buffer, byteOffset, byteLength));
  }

  end(): void {
    if (this.#left > 0) throw new RangeError(`there are ${this.#left} numbers fewer than the header says`);
  }
}
