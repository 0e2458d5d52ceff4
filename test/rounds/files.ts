import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { numbersOf, type RoundParameter } from '../../src/rounds/parameters.ts';
import { DeltaFile } from '../../src/rounds/read-delta.ts';
import { SafetensorsFile, writeSafetensors } from '../../src/safetensors/safetensors.ts';

export type Values = Readonly<Record<string, Float32Array>>;

/** A folder of safetensors files for rounds over some parameters. */
export class RoundFiles {
  readonly folder: string;
  readonly parameters: readonly RoundParameter[];
  readonly #open: { close(): Promise<void> }[] = [];
  #made = 0;

  private constructor(folder: string, parameters: readonly RoundParameter[]) {
    this.folder = folder;
    this.parameters = parameters;
  }

  static async make(parameters: readonly RoundParameter[]): Promise<RoundFiles> {
    return new RoundFiles(await mkdtemp(join(tmpdir(), 'siglip2-rounds-')), parameters);
  }

  path(): string {
    return join(this.folder, `${this.#made++}.safetensors`);
  }

  /** The parameters with these numbers, as the state of a phase lies on the disk. */
  async numbers(values: Values) {
    const path = this.path();
    const tensors = this.parameters.map(({ name, shape }) => {
      const { buffer, byteOffset, byteLength } = values[name]!;
      return { name, shape, dtype: 'F32', data: new Uint8Array(buffer, byteOffset, byteLength) } as const;
    });
    const { sha256 } = await writeSafetensors(path, tensors, { sync: false });
    const file = await this.file(path);
    return { ...numbersOf(file), path, sha256, file };
  }

  async file(path: string): Promise<SafetensorsFile> {
    const file = await SafetensorsFile.open(path);
    this.#open.push(file);
    return file;
  }

  async delta(path: string): Promise<DeltaFile> {
    const file = await DeltaFile.open(path, this.parameters);
    this.#open.push(file);
    return file;
  }

  async close(): Promise<void> {
    for (const file of this.#open) await file.close();
  }
}
