import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Truth } from '../../../src/data/example/truth.ts';
import type { Lesson } from '../../../src/evaluate/decoder/lesson.ts';
import type { Files } from '../../../src/evaluate/evaluators/job.ts';
import { FeatureSet } from '../../../src/evaluate/features/feature-set.ts';
import { PartFile, writePart } from '../../../src/evaluate/features/part-file.ts';
import { type ImageSpec, specHash } from '../../../src/evaluate/features/spec.ts';
import type { ModelConfig } from '../../../src/model/sizes.ts';
import { randomStream } from '../../../src/runtime/random.ts';

/** Things that lie in the quarters of a picture, each in one. */
export const thingNames = ['red', 'blue', 'a green hat', 'dog'];
const quarters = [
  [0, 0],
  [0, 1],
  [1, 0],
  [1, 1],
] as const;

/** A decoder that learns in seconds; of the towers nothing is looked at but shapes: four patches of 8 numbers. */
export const quarterModel: ModelConfig = {
  vision: { width: 8, depth: 1, mlp: 8, heads: 2, patch: 16, resolution: 32 },
  text: { width: 32, depth: 1, mlp: 64, heads: 2, length: 26, vocabulary: 256_000 },
};

export const quickLesson: Lesson = {
  of: 'boxes',
  depth: 1,
  ...{ steps: 400, batch: 32, learningRate: 0.005, weightDecay: 1e-4, warmup: 0.1, languages: ['en'], seed: 0 },
};

export interface Placed {
  readonly truth: Truth;
  readonly texts: Readonly<Record<string, readonly string[]>>;
  /** (4, 8): which thing is in each patch, and where that is. */
  readonly patches: readonly number[];
}

/** Pictures with a thing in each of two quarters. `told`: whether the features say which lies where. */
export function placedThings(count: number, seed: number, told = true): Placed[] {
  const random = randomStream(seed, 'things');
  return Array.from({ length: count }, () => {
    const places = [0, 1, 2, 3].sort(() => random.next() - 0.5).slice(0, 2);
    const first = random.below(thingNames.length);
    const chosen = [first, (first + 1 + random.below(thingNames.length - 1)) % thingNames.length];
    const regions = chosen.map((thing, i) => {
      const [row, column] = quarters[places[i]!]!;
      return { caption: thingNames[thing]!, box: [row / 2, column / 2, (row + 1) / 2, (column + 1) / 2] as const };
    });
    const patches = quarters.flatMap((_, place) => {
      const thing = chosen[places.indexOf(place)];
      const seen = told
        ? thingNames.map((_, other) => (other === thing ? 1 : 0))
        : thingNames.map(() => random.normal());
      return [...seen, ...quarters.map((_, other) => (other === place ? 1 : 0))];
    });
    const truth: Truth = {
      regions,
      questions: [{ question: `where is ${thingNames[chosen[0]!]}?`, answers: [places[0]! < 2 ? 'above' : 'below'] }],
    };
    return { truth, texts: { en: [`${thingNames[chosen[0]!]} and ${thingNames[chosen[1]!]}`] }, patches };
  });
}

/** Sets of features in files of their own. */
export function placedFiles() {
  const folders: string[] = [];
  const open: PartFile[] = [];
  return {
    async files(placed: readonly Placed[], perPart = 50, name = 'things'): Promise<Files<ImageSpec>> {
      const folder = await mkdtemp(join(tmpdir(), 'placed-'));
      folders.push(folder);
      const spec: ImageSpec = {
        model: { sha256: 'a'.repeat(64), config: quarterModel },
        data: { fingerprint: name, read: null },
        sample: { of: placed.length, examples: placed.length, seed: 0 },
        ...{ views: [32], resize: 'antialias', patches: true, truth: true, perPart, captions: null },
        text: { case: 'lower' },
      };
      const files: string[] = [];
      for (let first = 0; first < placed.length; first += perPart) {
        const own = placed.slice(first, first + perPart);
        const file = join(folder, `${files.length}.safetensors`);
        const examples = own.map(({ truth, texts }, i) => ({
          ...{ shard: 'data/0.tar', name: `${first + i}`, concepts: [], truth, texts, size: [32, 32] as const },
        }));
        const data = Float32Array.from(own.flatMap(({ patches }) => patches));
        const facts = { spec: specHash(spec), part: files.length, examples, skipped: [] };
        await writePart(file, facts, { 'patches/px-32': { shape: [own.length, 4, 8], data } });
        files.push(file);
      }
      return { spec, files };
    },
    async set({ spec, files }: Files<ImageSpec>): Promise<FeatureSet> {
      const parts: PartFile[] = [];
      for (const [part, file] of files.entries())
        parts.push(await PartFile.open(file, { spec: specHash(spec), part, key: file }));
      open.push(...parts);
      return new FeatureSet(parts, spec.model.config);
    },
    async close(): Promise<void> {
      for (const file of open) await file.close();
      for (const folder of folders) await rm(folder, { recursive: true, force: true });
    },
  };
}
