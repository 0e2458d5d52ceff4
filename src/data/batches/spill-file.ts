import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../../runtime/disk.ts';

/**
 * A file without a name, in equal slots: however a process ends, its room is free again. Errors of writing: DiskFull.
 */
export class SpillFile {
  readonly #folder: string;
  readonly #slotBytes: number;
  readonly #free: number[] = [];
  #slots = 0;
  #file: Promise<FileHandle> | null = null;

  /** Nothing is opened before something is written. */
  constructor(folder: string, slotBytes: number) {
    this.#folder = folder;
    this.#slotBytes = slotBytes;
  }

  /** Writes arrays one after another into a slot of their own; gives its number. */
  async write(arrays: readonly ArrayBufferView[]): Promise<number> {
    const slot = this.#free.pop() ?? this.#slots++;
    this.#file ??= this.#open();
    try {
      const file = await this.#file;
      let at = slot * this.#slotBytes;
      for (const array of arrays) {
        const bytes = bytesOf(array);
        for (let done = 0; done < bytes.length; ) {
          done += (await file.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
        }
        at += bytes.length;
      }
    } catch (error) {
      throw diskError(error, `the pictures of a large batch below ${this.#folder}`);
    }
    return slot;
  }

  /** Fills `into` with what lies `offset` bytes behind the beginning of a slot. */
  async read(slot: number, offset: number, into: ArrayBufferView): Promise<void> {
    const file = await this.#file!;
    const bytes = bytesOf(into);
    const at = slot * this.#slotBytes + offset;
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await file.read(bytes, done, bytes.length - done, at + done);
      if (bytesRead === 0) throw new Error(`the file of pictures below ${this.#folder} ends within slot ${slot}`);
      done += bytesRead;
    }
  }

  free(slot: number): void {
    this.#free.push(slot);
  }

  async close(): Promise<void> {
    const file = await this.#file?.catch(() => null);
    await file?.close();
  }

  async #open(): Promise<FileHandle> {
    await mkdir(this.#folder, { recursive: true });
    const path = join(this.#folder, `rows-${randomUUID()}`);
    const file = await open(path, 'wx+');
    await unlink(path);
    return file;
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => new Uint8Array(buffer, byteOffset, byteLength);
