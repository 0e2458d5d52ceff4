import { basename, join } from 'node:path';
import { RunnerError } from '../runtime/errors.ts';
import type { Dtype } from '../safetensors/dtypes.ts';
import { SafetensorsFile, type TensorToWrite, writeSafetensors } from '../safetensors/safetensors.ts';
import { type Numbers, numbersFrom } from './parameters.ts';

/** A tensor of a state, and the file of it that holds it. */
export interface PlacedTensor {
  readonly name: string;
  readonly file: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

export interface WrittenFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Held at once of a tensor that is only copied. */
export const chunkBytes = 4 * 1024 * 1024;

/** The safetensors files of a state, open for reading: which of them holds a tensor is nobody's concern. */
export class RoundState {
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
  readonly #files: ReadonlyMap<string, SafetensorsFile>;

  private constructor(files: readonly SafetensorsFile[]) {
    const placed = files.flatMap((file) =>
      [...file.tensors].map(([name, { dtype, shape }]) => ({ name, file: basename(file.path), dtype, shape })),
    );
    this.tensors = new Map(placed.map((tensor) => [tensor.name, tensor]));
    this.#files = new Map(files.map((file) => [basename(file.path), file]));
  }

  /** @param paths of the files below `folder`. Errors: CheckpointDamaged. */
  static async open(folder: string, paths: readonly string[]): Promise<RoundState> {
    const files: SafetensorsFile[] = [];
    try {
      for (const path of paths) files.push(await SafetensorsFile.open(join(folder, path)));
      return new RoundState(files);
    } catch (error) {
      for (const file of files) await file.close();
      throw error;
    }
  }

  #fileOf(name: string): SafetensorsFile {
    const placed = this.tensors.get(name);
    if (placed) return this.#files.get(placed.file)!;
    throw new RunnerError('CheckpointDamaged', `no file of the state has a tensor ${name}; fetch the checkpoint again`);
  }

  readonly numbers: Numbers = numbersFrom((name) => this.#fileOf(name));

  /** All bytes of a tensor, in chunks, each written over by the next. */
  chunks(name: string): AsyncGenerator<Uint8Array> {
    return this.#fileOf(name).chunks(name, chunkBytes);
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close();
  }
}

/** Where the bytes of a tensor that is written come from. */
export type BytesOf = (tensor: PlacedTensor) => TensorToWrite['data'];

/** Writes the files of a state tensor by tensor. The same tensors give the same bytes, in whatever order they are named. */
export async function writeTensors(
  folder: string,
  layout: readonly PlacedTensor[],
  bytesOf: BytesOf,
): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  for (const path of [...new Set(layout.map(({ file }) => file))].sort()) {
    const tensors = layout
      .filter(({ file }) => file === path)
      .map((tensor): TensorToWrite => ({ ...tensor, data: bytesOf(tensor) }));
    // As snapshots: after a power loss nobody looks for it.
    written.push({ path, ...(await writeSafetensors(join(folder, path), tensors, { sync: false })) });
  }
  return written;
}

/** A layout as the metadata of a file, since tensors alone do not say in which file of a state they lie. */
export const layoutText = (layout: readonly PlacedTensor[]): string =>
  JSON.stringify(layout.map(({ name, file, dtype, shape }) => [name, file, dtype, shape]));

/** What `layoutText` wrote, or null for anything else. */
export function readLayout(text: string | undefined): PlacedTensor[] | null {
  try {
    const rows = JSON.parse(text ?? '') as [string, string, Dtype, number[]][];
    return rows.map(([name, file, dtype, shape]) => {
      if (!/^[\w.-]+\.safetensors$/.test(file) || !shape.every(Number.isSafeInteger)) throw new TypeError(file);
      return { name, file, dtype, shape };
    });
  } catch {
    return null;
  }
}
