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
  { metadata = { format: 'pt' }, sync = true }: WriteOptions = {},
): Promise<{ bytes: number; sha256: string }> {
  const sorted = inFileOrder(tensors);
  const part = `${path}.part`;
  try {
    const file = await open(part, 'w');
    try {
      const output = new HashedOutput(file);
      await output.write(header(sorted, metadata));
      for (const tensor of sorted) await writeTensor(output, tensor);
      await output.flush();
      if (sync) await file.sync();
      await file.close();
      await rename(part, path);
      return { bytes: output.bytes, sha256: output.hash.digest('hex') };
    } finally {
      await file.close();
    }
  } catch (error) {
    await rm(part, { force: true });
    throw diskError(error, path);
  }
}

/** The order in which tensors are written, and so asked for: widest types first, so that every tensor is aligned. */
export function inFileOrder(tensors: readonly TensorToWrite[]): TensorToWrite[] {
  // As the reference implementation (safetensors 0.5) does.
  return [...tensors].sort(
    (a, b) => dtypeRank(b.dtype) - dtypeRank(a.dtype) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}

function header(sorted: readonly TensorToWrite[], metadata: Readonly<Record<string, string>>): Buffer {
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

async function writeTensor(output: HashedOutput, { name, dtype, shape, data }: TensorToWrite): Promise<void> {
  const end = output.bytes + tensorBytes(dtype, shape);
  if (data instanceof Uint8Array) await output.write(data);
  else for await (const chunk of data()) await output.write(chunk);
  if (output.bytes !== end)
    throw new TypeError(`tensor ${name} of shape [${shape}] was given ${output.bytes - end} bytes too many`);
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
