import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FeatureSet } from '../../src/evaluate/features/feature-set.ts';
import { PartFile, type PartTensors, writePart } from '../../src/evaluate/features/part-file.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { modelOf } from './feature-files.ts';

/** Pictures with a feature for each patch and truth for each pixel, by rows. */
export interface DenseGiven {
  readonly width: number;
  readonly pictures: readonly DensePictureGiven[];
  readonly kind?: 'fixed' | 'naflex';
  /** Patches that NaFlex pictures are padded to. */
  readonly length?: number;
  readonly picturesOfPart?: number;
}

export interface DensePictureGiven {
  readonly grid: readonly [number, number];
  readonly patches: ArrayLike<number>;
  readonly aligned?: ArrayLike<number>;
  readonly pooled?: ArrayLike<number>;
  readonly size: readonly [number, number];
  readonly mask?: ArrayLike<number>;
  readonly depth?: ArrayLike<number>;
  readonly normals?: ArrayLike<number>;
  readonly faults?: Record<string, string>;
}

/** The view of all of them: 40 pixels of a fixed model, or so many patches. */
export const denseView = 40;

/** Feature sets with patches in files of their own, as an evaluation has them. */
export function denseFiles() {
  const folders: string[] = [];
  const open: PartFile[] = [];
  return {
    async set({ width, pictures, kind = 'fixed', length, picturesOfPart = 7 }: DenseGiven): Promise<FeatureSet> {
      const folder = await mkdtemp(join(tmpdir(), 'dense-'));
      folders.push(folder);
      const parts: PartFile[] = [];
      for (let first = 0; first < pictures.length; first += picturesOfPart) {
        const part = first / picturesOfPart;
        const own = pictures.slice(first, first + picturesOfPart);
        const file = join(folder, `${part}.safetensors`);
        const examples = own.map(({ faults }, i) => ({
          ...{ shard: 'data/0.tar', name: `${first + i}`, concepts: [] },
          ...(faults && { faults }),
        }));
        await writePart(file, { spec: 'spec', part, examples, skipped: [] }, tensorsOf(own, width, kind, length));
        parts.push(await PartFile.open(file, { spec: 'spec', part, key: file }));
      }
      open.push(...parts);
      return new FeatureSet(parts, configOf(width, kind, pictures[0]!.grid[0]));
    },
    async close(): Promise<void> {
      for (const file of open) await file.close();
      for (const folder of folders) await rm(folder, { recursive: true, force: true });
    },
  };
}

const viewAt = (kind: 'fixed' | 'naflex') => (kind === 'fixed' ? `px-${denseView}` : `patches-${denseView}`);

function configOf(width: number, kind: 'fixed' | 'naflex', side: number): ModelConfig {
  const config = modelOf(width);
  return { ...config, vision: { ...config.vision, kind, patch: Math.floor(denseView / side) } };
}

function tensorsOf(
  own: readonly DensePictureGiven[],
  width: number,
  kind: 'fixed' | 'naflex',
  length = own[0]!.grid[0] * own[0]!.grid[1],
): PartTensors {
  const at = viewAt(kind);
  const rows = (of: (one: DensePictureGiven) => ArrayLike<number> | undefined, size: number) => {
    const all = new Float32Array(own.length * size);
    for (const [i, one] of own.entries()) all.set(of(one) ?? [], i * size);
    return all;
  };
  const truths = (['mask', 'depth', 'normals'] as const).flatMap((what) => {
    const all = own.flatMap((one) => Array.from(one[what] ?? []));
    const data = what === 'depth' ? Uint16Array.from(all) : Uint8Array.from(all);
    const sizes = Int32Array.from(own.flatMap((one) => (one[what] ? [...one.size] : [0, 0])));
    return [
      [what, { shape: [data.length], data }],
      [`${what}/sizes`, { shape: [own.length, 2], data: sizes }],
    ] as const;
  });
  return {
    [`pooled/${at}`]: { shape: [own.length, width], data: rows(({ pooled }) => pooled, width) },
    [`patches/${at}`]: { shape: [own.length, length, width], data: rows(({ patches }) => patches, length * width) },
    [`aligned/${at}`]: { shape: [own.length, length, width], data: rows(({ aligned }) => aligned, length * width) },
    ...(kind === 'naflex' && {
      [`grid/${at}`]: { shape: [own.length, 2], data: Int32Array.from(own.flatMap(({ grid }) => [...grid])) },
    }),
    ...Object.fromEntries(truths),
  };
}
