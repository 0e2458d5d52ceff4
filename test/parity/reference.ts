import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SafetensorsFile } from '../../src/checkpoint/safetensors.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import type { OptimizerSettings } from '../../src/recipe/schema.ts';

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

/** What `make_fixtures.py` found out with transformers and torch, and the numbers that it started from. */
export interface Reference {
  readonly model: ModelConfig;
  readonly optimizer: OptimizerSettings;
  /** In examples. */
  readonly schedule: { readonly total: number; readonly warmup: number };
  readonly batch: number;
  /** By step. */
  readonly losses: readonly number[];
  readonly gradientNorms: readonly number[];
  readonly scheduleFactors: readonly number[];
  readonly kernels: readonly string[];
  readonly floats: (name: string) => Float32Array;
  readonly shape: (name: string) => readonly number[];
  readonly images: Uint8Array;
  readonly tokens: Int32Array;
}

export async function loadReference(): Promise<Reference> {
  const file = await SafetensorsFile.open(fixture('tiny-siglip.safetensors'));
  const bytes = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of file.tensors.keys()) bytes.set(name, await file.read(name));
  await file.close();
  const floats = (name: string) => {
    if (file.info(name).dtype !== 'F32') throw new Error(`${name} is not F32`);
    return new Float32Array(bytes.get(name)!.buffer);
  };
  return {
    ...JSON.parse(readFileSync(fixture('tiny-siglip.json'), 'utf8')),
    floats,
    shape: (name: string) => file.info(name).shape,
    images: bytes.get('images')!,
    tokens: new Int32Array(bytes.get('tokens')!.buffer),
  };
}

/** Largest difference in units of the largest value of `expected`. */
export function distance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values, ${expected.length} expected`);
  let [difference, scale] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    // NaN would be lost in a maximum.
    if (!Number.isFinite(actual[i]!)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, Math.abs(actual[i]! - expected[i]!));
    scale = Math.max(scale, Math.abs(expected[i]!));
  }
  return difference / scale;
}
