import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Truth } from '../../../src/data/example/truth.ts';
import { boxBias } from '../../../src/evaluate/detection/heads.ts';
import { Categories } from '../../../src/evaluate/detection/truth.ts';
import type { EvaluatorInput } from '../../../src/evaluate/evaluators/contract.ts';
import { detection } from '../../../src/evaluate/evaluators/detection.ts';
import { detectionSettings } from '../../../src/evaluate/evaluators/settings.ts';
import { FeatureSet } from '../../../src/evaluate/features/feature-set.ts';
import { PartFile, writePart } from '../../../src/evaluate/features/part-file.ts';
import { randomStream } from '../../../src/runtime/random.ts';
import { modelOf } from '../feature-files.ts';

const [width, side, count, perPart] = [32, 4, 4, 20];
const model = modelOf(width);
const names = Array.from({ length: count }, (_, i) => `thing ${i}`);
const queries = Float32Array.from({ length: count * width }, (_, at) =>
  at % width === Math.floor(at / width) ? 1 : 0,
);
const bias = boxBias(side, side);
const inverse = (share: number) => Math.log(share / (1 - share));

let folder: string;
const open: PartFile[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'siglip2-detection-'));
});
afterAll(async () => {
  for (const one of open) await one.close();
  await rm(folder, { recursive: true, force: true });
});

/**
 * Pictures of two things each. `oracle`: of a token that a thing's centre lies in the features say which thing it is and how far its
 * box is from where the token begins; else they say nothing.
 */
async function scenes(
  name: string,
  pictures: number,
  seed: number,
  oracle: boolean,
  truthOf = (truth: Truth) => truth,
) {
  const parts: PartFile[] = [];
  for (let first = 0; first < pictures; first += perPart) {
    const own = Array.from({ length: Math.min(perPart, pictures - first) }, (_, i) => first + i);
    const patches = new Float32Array(own.length * side * side * width);
    const examples = own.map((number, i) => {
      const random = randomStream(seed, 'scene', number);
      const noise = randomStream(seed, 'noise', number);
      const rows = patches.subarray(i * side * side * width, (i + 1) * side * side * width);
      for (let at = 0; at < rows.length; at++) rows[at] = (oracle ? 0.02 : 1) * noise.normal();
      // So that a layer norm leaves the rest in proportion.
      for (let at = 14; at < rows.length; at += width) [rows[at], rows[at + 1]] = [12, -12];
      // Tokens at the right and at the bottom begin a whole picture away.
      const tokens = [random.below(3), side * (1 + random.below(2)) + random.below(3)];
      const objects = tokens.map((token) => {
        const kind = random.below(count);
        const [column, row] = [token % side, Math.floor(token / side)];
        const centre = [(column + 0.2 + 0.6 * random.next()) / side, (row + 0.2 + 0.6 * random.next()) / side] as const;
        const most = [0, 1].map((k) => 1.8 * Math.min(centre[k]!, 1 - centre[k]!)) as [number, number];
        const [w, h] = most.map((limit) => Math.min(limit, 0.1 + 0.3 * random.next())) as [number, number];
        const box = [centre[1] - h / 2, centre[0] - w / 2, centre[1] + h / 2, centre[0] + w / 2] as const;
        if (oracle) {
          rows[token * width + kind] = 3;
          for (const [k, value] of [...centre, w, h].entries())
            rows[token * width + 8 + k] = inverse(value) - bias[4 * token + k]!;
        }
        return { category: names[kind]!, box };
      });
      return { shard: 's', name: `${number}`, concepts: [], truth: truthOf({ objects }), size: [200, 100] as const };
    });
    const file = join(folder, `${name}-${first}.safetensors`);
    const tensors = { 'patches/px-32': { shape: [own.length, side * side, width], data: patches } };
    await writePart(file, { spec: 'spec', part: first / perPart, examples, skipped: [] }, tensors);
    const opened = await PartFile.open(file, { spec: 'spec', part: first / perPart, key: file });
    open.push(opened);
    parts.push(opened);
  }
  return new FeatureSet(parts, { ...model, vision: { ...model.vision, patch: 32 / side } });
}

const input = (train: FeatureSet, test: FeatureSet, pause = async () => {}): EvaluatorInput => ({
  ...{ view: 32, test, train, languages: ['en'], seed: 3, device: 'cpu', pause },
  classes: { names, rows: { width, rows: queries } },
});
const settings = (of: object = {}) => detectionSettings.parse({ steps: 200, batch: 16, learningRate: 0.02, ...of });

it('finds nearly everything where features say what is there and where, the same every time, and next to nothing where they do not', async () => {
  const [train, test] = [await scenes('train', 90, 1, true), await scenes('test', 40, 2, true)];
  let pauses = 0;
  const pause = async () => void pauses++;
  const { figures, notes, outcomes, shown } = await detection.evaluate(input(train, test, pause), settings());
  expect(shown).toHaveLength(8);
  // First those that are there, then as many that were found.
  const seen = shown!.flatMap(({ boxes }) => {
    const found = boxes.slice(boxes.length / 2).map((one) => one.found!);
    return boxes.slice(0, boxes.length / 2).map(({ truth }) => {
      return found.some((box) => box.every((side, k) => Math.abs(side - truth![k]!) < 0.15));
    });
  });
  expect(seen.filter(Boolean).length / seen.length).toBeGreaterThan(0.7);
  expect(figures.AP50).toBeGreaterThan(0.97);
  expect(figures.AP).toBeGreaterThan(0.85);
  expect(figures).toMatchObject({ boxes: 80, train_rounds: 34 });
  expect([notes, outcomes]).toEqual([[], {}]);
  expect(pauses).toBeGreaterThan(150);
  const few = settings({ steps: 8 });
  const once = await detection.evaluate(input(train, test), few);
  expect(await detection.evaluate(input(train, test), few)).toEqual(once);
  expect(await detection.evaluate({ ...input(train, test), seed: 4 }, few)).not.toEqual(once);
  const blind = [await scenes('blind-train', 40, 1, false), await scenes('blind-test', 40, 2, false)] as const;
  const none = await detection.evaluate(input(...blind), settings({ steps: 60 }));
  expect(none.figures.AP).toBeLessThan(0.03);
});

it('counts as LVIS does what was looked for, and names what has no query', async () => {
  const truthOf = ({ objects = [] }: Truth): Truth => {
    const [first] = objects;
    // The last category is in few pictures, and one that nobody asks for is in all.
    const named = objects.filter(({ category }) => category !== names[3]);
    return { objects: [...named, { category: 'cloud', box: first!.box }], absent: [names[3]!], partial: [names[0]!] };
  };
  const [train, test] = [await scenes('lvis', 40, 1, true, truthOf), await scenes('lvis-test', 20, 2, true, truthOf)];
  const { figures, notes } = await detection.evaluate(input(train, test), settings({ rules: 'lvis', steps: 60 }));
  expect(figures).toHaveProperty('AR@300');
  // No true box of the rare one is there: it has no AP.
  expect(figures).not.toHaveProperty('APr');
  expect(figures.APc).toBe(figures.AP);
  expect(notes).toEqual([
    '20 boxes of 1 category that classes.names does not have, such as "cloud": left out',
    '1 of 4 categories are rare: fewer than 10 pictures of train have them',
  ]);
  const nothing = await scenes('nothing', 3, 1, true, () => ({}));
  // By the rules of COCO a picture without boxes says that nothing is there; when all do, nothing can be learned.
  for (const rules of ['lvis', 'coco'])
    await expect(detection.evaluate(input(nothing, test), settings({ rules }))).rejects.toThrow(
      'train: none of its pictures has a box of a category that is to be learned; detection learns from "objects"',
    );
  const empty = await detection.evaluate(input(train, nothing), settings({ rules: 'coco', steps: 2 }));
  expect(empty.figures).not.toHaveProperty('AP');
  expect(empty.notes).toEqual(['no picture has a box of these categories: there is nothing to be found']);
  await expect(detection.evaluate({ ...input(train, test), classes: null }, settings())).rejects.toThrow(
    'classes.names is missing',
  );
});

it('learns what was looked for in a picture, of categories that are not withheld, and no crowds', () => {
  const categories = new Categories(names, 'objects');
  const box = [0.1, 0.2, 0.3, 0.6] as const;
  const objects = [0, 1, 2].map((i) => ({ category: names[i]!, box, ...(i === 2 && { crowd: true }) }));
  const example = {
    shard: 's',
    name: 'n',
    concepts: [],
    truth: { objects, absent: [names[3]!], partial: [names[0]!] },
  };
  const lesson = categories.lesson(example, 'lvis', new Set([1]))!;
  expect(lesson.targets.categories).toEqual([0]);
  expect([...lesson.targets.boxes].map((value) => Number(value.toFixed(6)))).toEqual([0.4, 0.2, 0.4, 0.2]);
  expect([[...lesson.lookedFor!], [...lesson.partial!]]).toEqual([[0, 3], [0]]);
  expect(categories.lesson(example, 'coco', new Set())).not.toHaveProperty('lookedFor');
  expect([...categories.lesson(example, 'coco', new Set([1]))!.lookedFor!]).toEqual([0, 2, 3]);
  expect(categories.lesson({ ...example, truth: {} }, 'lvis', new Set())).toBe(null);
  const regions = new Categories(names, 'regions');
  const told = { ...example, truth: { regions: [{ caption: names[2]!, box }] } };
  expect(regions.lesson(told, 'coco', new Set())!.targets.categories).toEqual([2]);
  expect(regions.image({ ...told, size: [100, 50] }).truths).toEqual([
    { category: 2, box: [20, 5, expect.closeTo(40, 9), expect.closeTo(10, 9)], area: expect.closeTo(400, 6) },
  ]);
});
