import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { diskError } from '../runtime/disk.ts';
import { type Dtype, dtypeRank, tensorBytes } from './dtypes.ts';

type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** Little-endian bytes, or a function that yields them in chunks; a chunk may be reused for the next. */
  readonly data: Uint8Array | (() => Chunks);
}

export interface WriteOptions {
  readonly metadata?: Readonly<Record<string, string>>;
  /** Whether to wait for the disk. What is uploaded and deleted need not ever get there. */
  readonly sync?: boolean;
}

/** Small tensors are gathered into writes of this size; it is all that the writer holds in memory. */
const stagingBytes = 4 * 1024 * 1024;

/**
 * Writes a safetensors file and returns its size and sha256, which was taken on the way. The same tensors in
 * any order give the same bytes. The name appears when the file is whole and, unless `sync` is false, on disk.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  { metadata, sync = true }: WriteOptions = {},
): Promise<{ bytes: number; sha256: string }> {
  const output = await SafetensorsOutput.open(path, tensors, metadata);
  try {
    for (const { name, data } of inFileOrder(tensors)) {
      for await (const chunk of chunksOf(data)) await output.write(name, chunk);
    }
    return await output.finish(sync);
  } catch (error) {
    await output.abandon();
    throw error;
  }
}

/** The bytes of a tensor, in one piece or in many. */
export const chunksOf = (data: TensorToWrite['data']): Chunks => (data instanceof Uint8Array ? [data] : data());

type TensorForm = Pick<TensorToWrite, 'name' | 'dtype' | 'shape'>;

/**
 * A safetensors file that is written as its numbers are made, so that several can be at once. Tensors come in the order of
 * `inFileOrder`, each in chunks. One of `finish` and `abandon` is to be called.
 */
export class SafetensorsOutput {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #output: HashedOutput;
  readonly #tensors: readonly TensorForm[];
  /** Of `#tensors` the one that is written, and the bytes of it that are still to come. */
  #at = 0;
  #left = 0;

  private constructor(path: string, file: FileHandle, tensors: readonly TensorForm[]) {
    this.#path = path;
    this.#file = file;
    this.#output = new HashedOutput(file);
    this.#tensors = tensors;
  }

  static async open(
    path: string,
    tensors: readonly TensorForm[],
    metadata: Readonly<Record<string, string>> = { format: 'pt' },
  ): Promise<SafetensorsOutput> {
    const sorted = inFileOrder(tensors);
    const head = header(sorted, metadata);
    const file = await open(`${path}.part`, 'w').catch((error) => {
      throw diskError(error, path);
    });
    const output = new SafetensorsOutput(path, file, sorted);
    try {
      await output.#toDisk(() => output.#output.write(head));
    } catch (error) {
      await output.abandon();
      throw error;
    }
    output.#begin();
    return output;
  }

  /** The next bytes of a tensor; tensors before it must be whole. */
  async write(name: string, chunk: Uint8Array): Promise<void> {
    if (chunk.length === 0) return;
    if (this.#left === 0 && this.#tensors[this.#at]?.name !== name) this.#next();
    const tensor = this.#tensors[this.#at];
    if (tensor?.name !== name) throw new TypeError(`tensor ${name} was given where ${tensor?.name ?? 'none'} goes on`);
    this.#left -= chunk.length;
    if (this.#left < 0) throw wrongLength(tensor, -this.#left);
    await this.#toDisk(() => this.#output.write(chunk));
  }

  /** Ends the file. */
  async finish(sync = true): Promise<{ bytes: number; sha256: string }> {
    while (this.#at < this.#tensors.length) this.#next();
    await this.#toDisk(async () => {
      await this.#output.flush();
      if (sync) await this.#file.sync();
      await this.#file.close();
      await rename(`${this.#path}.part`, this.#path);
    });
    return { bytes: this.#output.bytes, sha256: this.#output.hash.digest('hex') };
  }

  /** Leaves nothing of the file. */
  async abandon(): Promise<void> {
    await this.#file.close();
    await rm(`${this.#path}.part`, { force: true });
  }

  async #toDisk(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      throw diskError(error, this.#path);
    }
  }

  /** To the next tensor that has bytes. */
  #next(): void {
    if (this.#left !== 0) throw wrongLength(this.#tensors[this.#at]!, -this.#left);
    this.#at++;
    this.#begin();
  }

  #begin(): void {
    for (; this.#at < this.#tensors.length; this.#at++) {
      const { dtype, shape } = this.#tensors[this.#at]!;
      this.#left = tensorBytes(dtype, shape);
      if (this.#left > 0) return;
    }
  }
}

const wrongLength = ({ name, shape }: TensorForm, bytes: number) =>
  new TypeError(`tensor ${name} of shape [${shape}] was given ${bytes} bytes too many`);

/** The size that a file of these tensors has, without writing it. */
export function safetensorsSize(tensors: readonly TensorForm[], metadata: Readonly<Record<string, string>>): number {
  const data = tensors.reduce((sum, { dtype, shape }) => sum + tensorBytes(dtype, shape), 0);
  return header(inFileOrder(tensors), metadata).length + data;
}

/** The order in which tensors are written, and so asked for: widest types first, so that every tensor is aligned. */
export function inFileOrder<T extends TensorForm>(tensors: readonly T[]): T[] {
  // As the reference implementation (safetensors 0.5) does.
  return [...tensors].sort(
    (a, b) => dtypeRank(b.dtype) - dtypeRank(a.dtype) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}

function header(sorted: readonly TensorForm[], metadata: Readonly<Record<string, string>>): Buffer {
  const fields = [`"__metadata__":${JSON.stringify(metadata, Object.keys(metadata).sort())}`];
  const names = new Set(['__metadata__']);
  let offset = 0;
  for (const { name, dtype, shape } of sorted) {
    if (names.has(name)) throw new TypeError(`tensor ${name} is there twice`);
    names.add(name);
    const bytes = tensorBytes(dtype, shape);
    if (Number.isNaN(bytes)) throw new TypeError(`tensor ${name} can't have the shape [${shape}]`);
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, offset + bytes] })}`);
    offset += bytes;
  }
  // Text rather than an object: JSON.stringify would move names such as "0" to the front.
  const json = Buffer.from(`{${fields.join(',')}}`);
  const padded = Buffer.alloc(8 + Math.ceil(json.length / 8) * 8, ' ');
  padded.writeBigUInt64LE(BigInt(padded.length - 8));
  json.copy(padded, 8);
  return padded;
}

class HashedOutput {
  bytes = 0;
  readonly hash = createHash('sha256');
  readonly #file: FileHandle;
  readonly #staging = Buffer.allocUnsafe(stagingBytes);
  #staged = 0;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.hash.update(chunk);
    this.bytes += chunk.length;
    if (this.#staged + chunk.length > stagingBytes) await this.flush();
    if (chunk.length >= stagingBytes) return writeAll(this.#file, chunk);
    this.#staging.set(chunk, this.#staged);
    this.#staged += chunk.length;
  }

  async flush(): Promise<void> {
    await writeAll(this.#file, this.#staging.subarray(0, this.#staged));
    this.#staged = 0;
  }
}

/** A write may take fewer bytes than it was given, above all when the disk is nearly full. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done);
    done += bytesWritten;
  }
}
