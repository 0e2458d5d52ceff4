import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FeatureSet } from '../../src/evaluate/features/feature-set.ts';
import { type ModelHead, PartFile, writePart } from '../../src/evaluate/features/part-file.ts';
import type { Matrix } from '../../src/evaluate/numbers/matrix.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { tinySettings } from '../train/settings.ts';

/** A fixed model of another width: nothing of it but its shapes is looked at. */
export const modelOf = (width: number): ModelConfig => ({
  ...tinySettings.model,
  vision: { ...tinySettings.model.vision, width, resolution: 32 },
});

export interface Given {
  readonly pooled: Matrix;
  readonly concepts: readonly (readonly string[])[];
  /** Pictures that the captions are of, by language. */
  readonly captions?: Readonly<Record<string, Matrix & { readonly of: readonly number[] }>>;
  /** Of each picture what it says of itself. */
  readonly groups?: readonly Readonly<Record<string, string>>[];
  readonly head?: ModelHead;
  readonly examplesOfPart?: number;
}

/** Feature sets in files of their own, as an evaluation has them. */
export function featureFiles() {
  const folders: string[] = [];
  const open: PartFile[] = [];
  return {
    async set({
      pooled: { width, rows },
      concepts,
      captions = {},
      examplesOfPart = 50,
      ...given
    }: Given): Promise<FeatureSet> {
      const folder = await mkdtemp(join(tmpdir(), 'features-'));
      folders.push(folder);
      const parts: PartFile[] = [];
      for (let first = 0; first < concepts.length; first += examplesOfPart) {
        const part = first / examplesOfPart;
        const own = concepts.slice(first, first + examplesOfPart);
        const file = join(folder, `${part}.safetensors`);
        const examples = own.map((of, i) => {
          const groups = given.groups?.[first + i];
          return {
            ...{ shard: 'data/0.tar', name: `${first + i}`, concepts: of },
            ...(groups && { truth: { groups } }),
          };
        });
        const texts = Object.entries(captions).flatMap(([language, { of, rows: all }]) => {
          const which = [...of.keys()].filter((text) => of[text]! >= first && of[text]! < first + own.length);
          const data = new Float32Array(which.length * width);
          for (const [to, text] of which.entries())
            data.set(all.subarray(text * width, (text + 1) * width), to * width);
          const pictures = Int32Array.from(which, (text) => of[text]! - first);
          return [
            [`captions/${language}`, { shape: [which.length, width], data }],
            [`captions-of/${language}`, { shape: [which.length], data: pictures }],
          ] as const;
        });
        await writePart(
          file,
          { spec: 'spec', part, examples, skipped: [], ...(given.head && { head: given.head }) },
          {
            'pooled/px-32': {
              shape: [own.length, width],
              data: rows.slice(first * width, (first + own.length) * width),
            },
            hash: {
              shape: [own.length, 2],
              data: Int32Array.from({ length: 2 * own.length }, (_, i) => 2 * first + i),
            },
            ...Object.fromEntries(texts),
          },
        );
        parts.push(await PartFile.open(file, { spec: 'spec', part, key: file }));
      }
      open.push(...parts);
      return new FeatureSet(parts, modelOf(width));
    },
    async close(): Promise<void> {
      for (const file of open) await file.close();
      for (const folder of folders) await rm(folder, { recursive: true, force: true });
    },
  };
}
