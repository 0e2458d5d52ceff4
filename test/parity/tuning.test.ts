import { readFileSync } from 'node:fs';
import { beforeAll, expect, it } from 'vitest';
import { firstMoment, secondMoment } from '../../src/optimiser/optimiser.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import type { OptimizerSettings } from '../../src/recipe/schema.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { createTrainer, type Trainer } from '../../src/train/step.ts';
import { tinySettings } from '../train/settings.ts';
import { loadReference, type Reference } from './reference.ts';

interface Run {
  /** By step. */
  readonly losses: readonly number[];
  readonly gradientNorms: readonly number[];
}

/** Twenty steps of PyTorch in double precision, each way: see make_tuning_fixtures.py. */
const facts = JSON.parse(readFileSync(new URL('fixtures/tuning.json', import.meta.url), 'utf8')) as {
  readonly optimizer: Omit<OptimizerSettings, 'multipliers'>;
  readonly schedule: { readonly total: number; readonly warmup: number };
  readonly texts: Run & { readonly names: readonly string[] };
  readonly top: Run & { readonly names: readonly string[] };
  readonly layerDecay: Run & { readonly decay: number; readonly shares: Readonly<Record<string, number>> };
};

let reference: Reference;
let whole: PhaseSettings;

beforeAll(async () => {
  reference = await loadReference();
  const { model, batch } = reference;
  whole = {
    ...tinySettings,
    model,
    optimizer: { ...facts.optimizer, multipliers: {} },
    schedule: facts.schedule,
    batches: { ...tinySettings.batches, batch, resolution: model.vision.resolution, textLength: model.text.length },
  };
});

const batchOf = (step: number) => {
  const kept = reference.losses.length;
  const part = <T extends Uint8Array | Int32Array>(all: T) =>
    all.slice(((step % kept) * all.length) / kept, ((step % kept) + 1) * (all.length / kept)) as T;
  return { index: step, images: part(reference.images), tokens: part(reference.tokens), parts: {}, skipped: [] };
};

/** Trains on the stored batches over and over, and holds each step to what PyTorch found. */
function follow(settings: PhaseSettings, expected: Run, look: (trainer: Trainer) => void = () => {}): void {
  const { parameters, frozen } = phaseState(settings);
  const trainer = createTrainer(settings);
  const start = parameters.flatMap(({ name }) => {
    const values = reference.floats(`parameters/${name}`);
    const moments = frozen.has(name) ? [] : [firstMoment(name), secondMoment(name)];
    return [[name, values] as const, ...moments.map((key) => [key, new Float32Array(values.length)] as const)];
  });
  trainer.program.write(Object.fromEntries(start));
  for (const [step, loss] of expected.losses.entries()) {
    const found = trainer.step(step + 1, batchOf(step));
    expect(Math.abs(found.loss / loss - 1), `loss of step ${step + 1}`).toBeLessThan(1e-5);
    const norm = expected.gradientNorms[step]!;
    expect(Math.abs(found.gradientNorm / norm - 1), `norm of step ${step + 1}`).toBeLessThan(1e-4);
  }
  look(trainer);
  trainer.program.dispose();
}

const top = {
  train: ['imageBlocks.1', 'vision_model.post_layernorm.*', 'mapHead', 'text'],
  freeze: ['text_model.*bias', 'tokenTable'],
};

it.each([
  ['texts', 'named', 1, () => ({ train: ['text', 'scaleAndBias'] })],
  ['texts', 'left by a multiplier of 0', 5, () => ({ optimizer: { ...whole.optimizer, multipliers: { vision: 0 } } })],
  ['top', 'named', 5, () => top],
] as const)(
  'twenty steps of a part of a model have the losses of PyTorch with the rest frozen: %s %s, in %i micro-batches',
  (part, _, accumulate, change) => {
    const settings = { ...whole, ...change(), accumulate };
    const { parameters, frozen } = phaseState(settings);
    const trained = parameters.map(({ name }) => name).filter((name) => !frozen.has(name));
    expect(trained).toEqual(expect.arrayContaining([...facts[part].names]));
    expect(trained).toHaveLength(facts[part].names.length);
    follow(settings, facts[part], ({ program }) => {
      for (const [name, values] of Object.entries(program.read([...frozen])))
        expect(values, name).toEqual(reference.floats(`parameters/${name}`));
    });
  },
);

it('rates that decay by layer are those of timm, and their twenty steps those of AdamW', () => {
  const { decay, shares } = facts.layerDecay;
  const settings = { ...whole, optimizer: { ...whole.optimizer, layerDecay: decay } };
  for (const { name, share = 1 } of phaseState(settings).parameters) expect(share, name).toBeCloseTo(shares[name]!, 12);
  follow(settings, facts.layerDecay);
});
