import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { firstMoment, secondMoment, startCopy } from '../../src/optimiser/optimiser.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import type { OptimizerSettings } from '../../src/recipe/schema.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { createTrainer, type Trainer } from '../../src/train/step.ts';
import { tinySettings } from '../train/settings.ts';
import { loadReference } from './reference.ts';

/** Steps of PyTorch in double precision. */
export interface Run {
  /** By step. */
  readonly losses: readonly number[];
  readonly gradientNorms: readonly number[];
}

/** Twenty steps each way: see make_tuning_fixtures.py. */
export const tuning = JSON.parse(readFileSync(new URL('fixtures/tuning.json', import.meta.url), 'utf8')) as {
  readonly optimizer: Omit<OptimizerSettings, 'multipliers'>;
  readonly schedule: { readonly total: number; readonly warmup: number };
  readonly texts: Run & { readonly names: readonly string[] };
  readonly top: Run & { readonly names: readonly string[] };
  readonly layerDecay: Run & { readonly decay: number; readonly shares: Readonly<Record<string, number>> };
  readonly startDecay: Run & { readonly decay: number };
  readonly lora: Adapted;
  readonly dora: Adapted;
};

interface Adapted extends Run {
  readonly rank: number;
  readonly alpha: number;
  readonly adapterConfig: Readonly<Record<string, unknown>>;
  readonly adapterShapes: Readonly<Record<string, readonly number[]>>;
}

/** The model that was trained, all of it, what it starts from, and its batches, over and over. */
export async function tuningOf() {
  const reference = await loadReference();
  const { model, batch } = reference;
  const settings: PhaseSettings = {
    ...tinySettings,
    model,
    optimizer: { ...tuning.optimizer, multipliers: {} },
    schedule: tuning.schedule,
    batches: { ...tinySettings.batches, batch, resolution: model.vision.resolution, textLength: model.text.length },
  };
  const batchOf = (step: number) => {
    const kept = reference.losses.length;
    const part = <T extends Uint8Array | Int32Array>(all: T) =>
      all.slice(((step % kept) * all.length) / kept, ((step % kept) + 1) * (all.length / kept)) as T;
    return { index: step, images: part(reference.images), tokens: part(reference.tokens), parts: {}, skipped: [] };
  };
  const start = (name: string) => reference.floats(`parameters/${name}`);
  return { settings, start, batchOf };
}

/** Trains from `start`, and holds each step to what PyTorch found. */
export function follow(
  settings: PhaseSettings,
  { start, batchOf }: Pick<Awaited<ReturnType<typeof tuningOf>>, 'start' | 'batchOf'>,
  expected: Run,
  look: (trainer: Trainer) => void = () => {},
): void {
  const { parameters, frozen, anchored } = phaseState(settings);
  const trainer = createTrainer(settings);
  const state = parameters.flatMap(({ name }) => {
    const values = start(name);
    const moments = frozen.has(name) ? [] : [firstMoment(name), secondMoment(name)];
    return [[name, values] as const, ...moments.map((key) => [key, new Float32Array(values.length)] as const)];
  });
  trainer.program.write(Object.fromEntries(state));
  trainer.program.write(Object.fromEntries(anchored.map(({ name }) => [startCopy(name), start(name)])));
  for (const [step, loss] of expected.losses.entries()) {
    const found = trainer.step(step + 1, batchOf(step));
    expect(Math.abs(found.loss / loss - 1), `loss of step ${step + 1}`).toBeLessThan(1e-5);
    const norm = expected.gradientNorms[step]!;
    expect(Math.abs(found.gradientNorm / norm - 1), `norm of step ${step + 1}`).toBeLessThan(1e-4);
  }
  // What is frozen has not moved by a bit.
  for (const [name, values] of Object.entries(trainer.program.read([...frozen])))
    expect(values, name).toEqual(start(name));
  look(trainer);
  trainer.program.dispose();
}
