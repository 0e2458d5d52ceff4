import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ModelConfig } from '../../src/model/sizes.ts';
import type { OptimizerSettings } from '../../src/recipe/schema.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';

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
  const file = await openFixture('tiny-siglip.safetensors');
  return {
    ...JSON.parse(readFileSync(fixture('tiny-siglip.json'), 'utf8')),
    floats: file.floats,
    shape: file.shape,
    images: file.bytes('images'),
    tokens: file.ints('tokens'),
  };
}

/** Stored tensors by name. */
export interface Fixture {
  readonly names: readonly string[];
  floats(name: string): Float32Array;
  ints(name: string): Int32Array;
  bytes(name: string): Uint8Array;
  shape(name: string): readonly number[];
}

/** Reads a safetensors file, by its name in `fixtures/` or by its URL. */
export async function openFixture(path: string | URL): Promise<Fixture> {
  const file = await SafetensorsFile.open(typeof path === 'string' ? fixture(path) : fileURLToPath(path));
  const content = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of file.tensors.keys()) content.set(name, await file.read(name));
  await file.close();
  const read = (name: string, dtype: string) => {
    if (file.info(name).dtype !== dtype) throw new Error(`${name} is not ${dtype}`);
    return content.get(name)!;
  };
  return {
    names: [...content.keys()],
    floats: (name) => new Float32Array(read(name, 'F32').buffer),
    ints: (name) => new Int32Array(read(name, 'I32').buffer),
    bytes: (name) => read(name, 'U8'),
    shape: (name) => file.info(name).shape,
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
