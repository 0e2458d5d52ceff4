import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Values } from '../../src/compile/definition.ts';
import type { Batch } from '../../src/data/batches/types.ts';
import { pictureWidth } from '../../src/recipe/batch-plan.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { KeptFeatures, keepsAll, keptBytes, keptFeatureBytes, keptGroup } from '../../src/train/kept-features.ts';
import { memoryPlan } from '../../src/train/memory-plan.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer, type Trainer } from '../../src/train/step.ts';
import { stepSettings } from '../bench/shapes.ts';
import { tunedModel } from '../bench/tune-settings.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch } from './tiny-objectives.ts';

const online: PhaseSettings = { ...tinySettings, train: ['text', 'scaleAndBias'] };
const kept: PhaseSettings = { ...online, frozenFeatures: 'kept' };
const { batch } = online.batches;
/** Batches of an epoch, in which each picture comes once. */
const epoch = 4;
const inImages = 'vision_model.head.probe';
const inTexts = 'text_model.head.weight';

/** The batch of a step, with the number of each picture: epochs have the same pictures, in other orders. */
function batchOf(step: number): Batch {
  const made = noiseBatch({ ...online, objectives: hard }, 1 + ((step - 1) % epoch));
  const size = made.images.length / batch;
  const turn = step % batch;
  const turned = <T extends Uint8Array | Int32Array>(array: T, width: number): T => {
    const copy = array.slice() as T;
    for (let i = 0; i < batch; i++) {
      const from = (i + turn) % batch;
      copy.set(array.subarray(from * width, (from + 1) * width), i * width);
    }
    return copy;
  };
  const images = turned(made.images, size);
  const pictures = new Int32Array(batch * pictureWidth);
  for (let i = 0; i < batch; i++) {
    const digest = createHash('md5')
      .update(images.subarray(i * size, (i + 1) * size))
      .digest();
    for (let j = 0; j < pictureWidth; j++) pictures[i * pictureWidth + j] = digest.readInt32LE(4 * j);
  }
  return {
    ...made,
    images,
    tokens: turned(made.tokens, online.batches.textLength),
    parts: { ...made.parts, pictures },
  };
}

function begun(settings: PhaseSettings): Trainer {
  const trainer = createTrainer(settings);
  trainer.program.write(freshState(settings));
  return trainer;
}

const noise = (name: string, bytes: number): Uint8Array =>
  Uint8Array.from(createHash('shake256', { outputLength: bytes }).update(name).digest());

const losses = (trainer: Trainer, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => trainer.step(from + i, batchOf(from + i)).loss);

const stateOf = ({ program, stateNames }: Trainer): Values => program.read(stateNames);

const hard = { ...online.objectives, hardNegatives: { weight: 0.5, texts: 2 } };

describe.each([
  [1, online.objectives],
  [3, online.objectives],
  [1, hard],
  [3, hard],
])('with %i micro-batches, trained for %o', (accumulate, objectives) => {
  it('20 steps on kept embeddings have the losses of 20 that compute them, and leave the image tower as it was', () => {
    const [with_, without] = [kept, online].map((settings) => begun({ ...settings, accumulate, objectives })) as [
      Trainer,
      Trainer,
    ];
    const first = stateOf(with_);
    const [ours, theirs] = [losses(with_, 1, 20), losses(without, 1, 20)];
    for (const [i, loss] of theirs.entries())
      expect(Math.abs(ours[i]! - loss) / loss, `step ${i + 1}`).toBeLessThan(1e-5);
    expect(new Set(theirs.map((loss) => loss.toFixed(4))).size).toBeGreaterThan(10);
    const [last, other] = [stateOf(with_), stateOf(without)];
    expect(Object.keys(last)).toEqual(Object.keys(other));
    for (const name of Object.keys(last).filter((name) => name.startsWith('vision_model.')))
      expect(last[name], name).toEqual(first[name]);
    expect(last[inTexts]).not.toEqual(first[inTexts]);
    for (const trainer of [with_, without]) trainer.program.dispose();
  });

  it('a trainer that begins in the middle, with nothing kept, comes to the same bytes', () => {
    const settings = { ...kept, accumulate, objectives };
    const whole = begun(settings);
    losses(whole, 1, 7);
    const middle = stateOf(whole);
    const last = losses(whole, 8, 12);
    const again = createTrainer(settings);
    again.program.write(middle);
    expect(losses(again, 8, 12)).toEqual(last);
    expect(stateOf(again)).toEqual(stateOf(whole));
    for (const trainer of [whole, again]) trainer.program.dispose();
  });
});

it('what is kept is forgotten when another tower is written', () => {
  const trainer = begun(kept);
  losses(trainer, 1, epoch);
  const other = {
    ...freshState(kept),
    [inImages]: freshState(kept)[inImages]!.map((value) => value + 1) as Float32Array,
  };
  trainer.program.write(other);
  const after = losses(trainer, 1, epoch);
  const fresh = createTrainer(kept);
  fresh.program.write(other);
  expect(losses(fresh, 1, epoch)).toEqual(after);
  for (const one of [trainer, fresh]) one.program.dispose();
});

it('each picture is computed once, however often it comes, and what does not fit is computed each time', () => {
  const trainer = begun(kept);
  const arrays = (step: number) => ({ images: batchOf(step).images, pictures: batchOf(step).parts.pictures! });
  const all = new KeptFeatures(trainer.program, kept);
  const one = keptBytes(kept, 1);
  const few = new KeptFeatures(trainer.program, kept, 5 * one);
  for (let step = 1; step <= 3 * epoch; step++)
    expect(few.of(arrays(step), batch)).toEqual(all.of(arrays(step), batch));
  expect(all.counts).toEqual({ computed: epoch * batch, held: epoch * batch });
  expect(few.counts).toEqual({ computed: 5 + 3 * (epoch * batch) - 3 * 5, held: 5 });
  trainer.program.dispose();
});

it('an embedding has the same bytes beside whatever it is computed, and few calls have many', () => {
  const settings: PhaseSettings = { ...kept, batches: { ...kept.batches, batch: 64 } };
  const group = keptGroup(settings);
  expect(group).toBe(8);
  const trainer = begun(settings);
  const size = 3 * settings.model.vision.resolution ** 2;
  const images = noise('images', 64 * size);
  const pictures = new Int32Array(noise('pictures', 64 * 4 * pictureWidth).buffer);
  let calls = 0;
  const counted = {
    run: (...args: Parameters<Trainer['program']['run']>) => {
      calls++;
      return trainer.program.run(...args);
    },
  };
  const together = new KeptFeatures(counted, settings).of({ images, pictures }, 64);
  // A plan counts 1.5.
  expect((calls * group) / 64).toBeGreaterThan(1.3);
  expect((calls * group) / 64).toBeLessThan(1.7);
  const alone = new KeptFeatures(trainer.program, settings);
  const width = together.length / 64;
  for (let row = 63; row >= 0; row--) {
    const one = {
      images: images.subarray(row * size, (row + 1) * size),
      pictures: pictures.subarray(row * pictureWidth, (row + 1) * pictureWidth),
    };
    expect(alone.of(one, 1), `row ${row}`).toEqual(together.slice(row * width, (row + 1) * width));
  }
  expect(new Set(together).size).toBeGreaterThan(32 * width);
  trainer.program.dispose();
});

it('all pictures of 309,257 examples of a B are kept, and not of one more', () => {
  // 768 numbers and 400 bytes each, of 1 GiB.
  expect([309_257, 309_258].map((examples) => keepsAll({ model: tunedModel }, examples))).toEqual([true, false]);
});

it.each([
  [8, 1, 1],
  [64, 1, 8],
  [64, 4, 2],
  [256, 1, 16],
  [32_768, 4, 16],
  [2, 1, 1],
])('a batch of %i in %i parts has its pictures embedded by %i at once', (batch, accumulate, group) => {
  expect(keptGroup({ batches: { ...kept.batches, batch }, accumulate })).toBe(group);
});

it('a plan has no activations of a batch of images, and what is kept of the examples', () => {
  const settings: PhaseSettings = { ...stepSettings('step/s16', 'f32'), train: ['text', 'scaleAndBias'] };
  const [before, after] = [settings, { ...settings, frozenFeatures: 'kept' as const }].map((one) =>
    memoryPlan(one, 1000),
  );
  expect(after!.device.activations).toBeLessThan(before!.device.activations);
  expect(after!.device.parameters).toBe(before!.device.parameters);
  expect(after!.host.batches - before!.host.batches).toBe(keptBytes(settings, 1000));
  expect(keptBytes(settings)).toBe(keptFeatureBytes);
  expect(keptBytes(settings, 1000)).toBeGreaterThan(1000 * 4 * settings.model.vision.width);
});
