import { describe, expect, it } from 'vitest';
import type { Batch } from '../../src/data/batches/types.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { checkBatch, checkStep, checkTeacher } from '../../src/train/divergence.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { tinySettings } from './settings.ts';
import { tinyObjectives } from './tiny-objectives.ts';

const { batch: count, resolution, textLength } = tinySettings.batches;

/** Noise; `index` is another number than that of the step, as when a batch before it was left out. */
const batchAt = (step: number): Batch => {
  const random = randomStream(5, 'batch', step);
  const images = Uint8Array.from({ length: count * resolution ** 2 * 3 }, () => random.below(256));
  const tokens = Int32Array.from({ length: count * textLength }, () => random.below(9));
  return { index: step, images, tokens, parts: {}, skipped: [] };
};

const failure = (check: () => void): { message: string; code: string; details: object } | null => {
  try {
    check();
    return null;
  } catch (error) {
    return error as never;
  }
};

/** What real steps end with. */
function trained(changes: Partial<PhaseSettings>) {
  const settings = { ...tinySettings, ...changes };
  const trainer = createTrainer(settings);
  trainer.program.write(freshState(settings));
  for (let step = 1; step <= 20; step++) {
    const batch = batchAt(step);
    const metrics = trainer.step(step, batch);
    const found = failure(() => checkStep(settings, step, batch, metrics));
    if (found) return { ...found, message: found.message, step, metrics };
  }
  return null;
}

describe('a step that has diverged', () => {
  it('is told by its loss that is no number, after rates that no training stands', () => {
    const optimizer = { ...tinySettings.optimizer, learningRate: 1e30 };
    const { step, ...error } = trained({ optimizer })!;
    expect(error).toMatchObject({ code: 'NonFinite', details: { kind: 'lossNotFinite', step, batch: step } });
    expect(error.message).toMatch(
      /^the loss of step \d+ \(batch \d+\) is NaN: retryPhase with a lower learningRate, or start again with a longer schedule.warmup$/,
    );
  });

  it('is told by its gradient that is no number, while the loss is one', () => {
    const init = { ...tinySettings.init, temperature: 1e20 };
    const { metrics, ...error } = trained({ init })!;
    expect(Number.isFinite(metrics.loss)).toBe(true);
    expect(error.details).toEqual({ kind: 'gradientNotFinite', step: 1, batch: 1 });
    expect(error.message).toMatch(
      /^the gradient norm of step 1 \(batch 1\) is (Infinity|NaN), at a loss of [\d.e+]+: retryPhase with a lower learningRate$/,
    );
    const inBf16 = { ...tinySettings, precision: 'bf16' as const };
    expect(failure(() => checkStep(inBf16, 1, batchAt(1), metrics))!.message).toMatch(
      /a lower learningRate or with precision f32$/,
    );
  });

  it('is told by its loss above the bound, and not by one at it', () => {
    const { details, message, metrics } = trained({ maxLoss: 0.01 })!;
    expect(details).toEqual({ kind: 'lossAboveMax', step: 1, batch: 1 });
    expect(message).toMatch(
      /^the loss of step 1 \(batch 1\) is \d\.\d+, above the divergence.maxLoss of 0.01: retryPhase with a lower learningRate, or start again with a higher divergence.maxLoss$/,
    );
    expect(failure(() => checkStep({ ...tinySettings, maxLoss: metrics.loss }, 1, batchAt(1), metrics))).toBeNull();
    expect(trained({})).toBeNull();
  });
});

describe('a teacher that has collapsed', () => {
  const settings = { objectives: { localToGlobal: { ...tinyObjectives.localToGlobal, prototypes: 1024 } } };
  const check = (step: number, information: number, entropy: number) =>
    failure(() =>
      checkTeacher(settings, { min: 0.01, from: 300 }, step, batchAt(7), {
        'localToGlobal/teacherInformation': information,
        'localToGlobal/teacherEntropy': entropy,
      }),
    );

  it('is told by its information, with how it has collapsed and what helps, once it has had its time', () => {
    expect(check(299, 0, 0)).toBeNull();
    expect(check(300, 0.01, 0.2)).toBeNull();
    expect(check(300, 0.00012, 6.91)).toMatchObject({
      code: 'NonFinite',
      details: { kind: 'teacherCollapsed', step: 300, batch: 7 },
      message:
        'the teacher of localToGlobal says the same of all pictures, all prototypes alike: at step 300 its information is 0.00012 nats, below the divergence.minInformation of 0.01 (entropy 6.91 of 6.93): retryPhase with a lower teacherTemperature or learningRate, or with minInformation 0 to go on all the same',
    });
    expect(check(350, 0, 0.01)!.message).toMatch(/, one prototype: at step 350 .* with a lower centerMomentum or /);
  });
});

describe('a batch that can teach nothing', () => {
  const large: Batch = { ...batchAt(3), tokens: new Int32Array(16 * textLength) };
  const both = { pictures: true, texts: true };
  const kindOf = (batch: Batch, settings: PhaseSettings = tinySettings) =>
    failure(() => checkBatch(settings, 4, batch, batch.tokens.length / textLength));

  it('is told as dead inputs before the step, with what is the same and what to do', () => {
    const error = kindOf({ ...large, alike: both })!;
    expect(error).toMatchObject({ code: 'NonFinite', details: { kind: 'deadInputs', step: 4, batch: 3 } });
    expect(error.message).toBe(
      'all 16 pictures of step 4 (batch 3) are the same, so that it can teach nothing: look at the data, then retryPhase with other data or with skip',
    );
    const texts = { ...large, alike: { pictures: false, texts: true } };
    expect(kindOf(texts)!.message).toMatch(/^all 16 texts of step 4 \(batch 3\) are the same, /);
    const curated = { ...tinySettings, batches: { ...tinySettings.batches, candidates: 12 } };
    expect(kindOf(texts, curated)!.message).toMatch(/: look at the data, then start again with others$/);
  });

  it('is not one that differs, nor one so small that chance makes it alike, nor one whose texts nothing contrasts', () => {
    expect(kindOf(large)).toBeNull();
    expect(kindOf({ ...large, tokens: new Int32Array(15 * textLength), alike: both })).toBeNull();
    const alone = { ...tinySettings, objectives: {} };
    expect(kindOf({ ...large, alike: { pictures: false, texts: true } }, alone)).toBeNull();
    expect(kindOf({ ...large, alike: both }, alone)!.details).toMatchObject({ kind: 'deadInputs' });
  });
});
