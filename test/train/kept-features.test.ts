import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Values } from '../../src/compile/definition.ts';
import type { Batch } from '../../src/data/batches/types.ts';
import { pictureWidth } from '../../src/recipe/batch-plan.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { KeptFeatures, keptBytes, keptFeatureBytes } from '../../src/train/kept-features.ts';
import { memoryPlan } from '../../src/train/memory-plan.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer, type Trainer } from '../../src/train/step.ts';
import { stepSettings } from '../bench/shapes.ts';
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
