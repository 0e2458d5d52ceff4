import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import type { Pixels } from '../../src/data/example/pixels.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';

export const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

let opened: Promise<SafetensorsFile> | undefined;
afterAll(async () => (await opened)?.close());

/** What make_detectors.py wrote down of transformers, PyTorch and torchvision. */
export async function expectations() {
  opened ??= SafetensorsFile.open(fixture('expected.safetensors'));
  const file = await opened;
  const ints = async (name: string) => new Int32Array((await file.read(name)).buffer);
  return {
    floats: (name: string) => file.readFloats(name),
    ints,
    async picture(size: string): Promise<Pixels> {
      const [width, height] = size.split('x').map(Number) as [number, number];
      return { width, height, data: await file.read(size) };
    },
  };
}

export const sizes = ['100x70', '30x61', '200x333'] as const;
/** As in make_detectors.py: some words, punctuation and capitals, and one that is longer than 16 tokens. */
export const queries = [
  'red square',
  'a monarch on a zinnia',
  'Zinnia, blue!',
  'the quick brown fox jumps over the lazy dog '.repeat(2),
] as const;

export const worst = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  if (a.length !== b.length) throw new Error(`${a.length} and ${b.length} numbers`);
  return Array.from(a).reduce((most, one, i) => Math.max(most, Math.abs(one - b[i]!)), 0);
};
