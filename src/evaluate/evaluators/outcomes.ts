import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SafetensorsFile, writeSafetensors } from '../../safetensors/safetensors.ts';
import type { Found, Outcome } from './contract.ts';

const bytesOf = (data: Float32Array | Int32Array) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** Writes what came of single examples: `<figure>` with the values and `<figure>/pictures` with what each is of. */
export function writeOutcomes(file: string, outcomes: Found['outcomes']): Promise<{ bytes: number; sha256: string }> {
  const tensors = Object.entries(outcomes).flatMap(([name, { values, pictures }]) => [
    { name, dtype: 'F32' as const, shape: [values.length], data: bytesOf(values) },
    { name: `${name}/pictures`, dtype: 'I32' as const, shape: [pictures.length], data: bytesOf(pictures) },
  ]);
  return writeSafetensors(file, tensors, { sync: false });
}

/** What `writeOutcomes` wrote. */
export async function readOutcomes(path: string): Promise<Record<string, Outcome>> {
  const file = await SafetensorsFile.open(path);
  try {
    const outcomes: Record<string, Outcome> = {};
    for (const name of [...file.tensors.keys()].sort()) {
      if (name.endsWith('/pictures')) continue;
      const pictures = new Int32Array((await file.read(`${name}/pictures`)).buffer);
      outcomes[name] = { values: await file.readFloats(name), pictures };
    }
    return outcomes;
  } finally {
    await file.close();
  }
}

/** The same of bytes, by a file in `scratch` that is gone then. */
export async function outcomesIn(bytes: Uint8Array, scratch = tmpdir()): Promise<Record<string, Outcome>> {
  const folder = await mkdtemp(join(scratch, 'siglip2-outcomes-'));
  try {
    const file = join(folder, 'outcomes.safetensors');
    await writeFile(file, bytes);
    return await readOutcomes(file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
