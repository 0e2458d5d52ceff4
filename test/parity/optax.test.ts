import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import type { Values } from '../../src/compile/definition.ts';
import { compile } from '../../src/compile/program.ts';
import type { ModelConfig } from '../../src/model/sizes.ts';
import { stepScalars } from '../../src/optimiser/optimiser.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { type Schedule, scheduleFactor } from '../../src/recipe/schedule.ts';
import type { OptimizerSettings } from '../../src/recipe/schema.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { accumulatedSignatures, microSum, microSums } from '../../src/train/signatures.ts';
import { freshState } from '../../src/train/state.ts';
import { tinySettings } from '../train/settings.ts';
import { openFixture } from './reference.ts';

/** Steps of big_vision's chain of optax on given gradients: see make_big_vision_fixtures.py. */
const facts = JSON.parse(readFileSync(new URL('fixtures/optax.json', import.meta.url), 'utf8')) as {
  readonly model: ModelConfig;
  readonly depth: number;
  readonly optimizer: OptimizerSettings;
  readonly schedule: Schedule;
  readonly batch: number;
  /** By step. */
  readonly gradientNorms: readonly number[];
  readonly scheduleFactors: readonly number[];
};
const { model, depth, optimizer, schedule, batch, gradientNorms, scheduleFactors } = facts;

/** In micro-batches, so that the update is a graph of its own, whose gradients can be given. */
const settings: PhaseSettings = {
  ...tinySettings,
  ...{ model, optimizer, schedule, accumulate: 2 },
  objectives: { sigmoid: { weight: 1 }, captioning: { weight: 1, depth, chunk: 4 } },
  batches: { ...tinySettings.batches, batch: 4, resolution: model.vision.resolution, textLength: model.text.length },
};

it('six compiled updates end where those of optax end, with its masks, its clip, its schedule and its multipliers', async () => {
  const fixture = await openFixture('optax.safetensors');
  const phase = phaseState(settings);
  const names = phase.parameters.map(({ name }) => name);
  const of = (prefix: string): Record<string, Float32Array> =>
    Object.fromEntries(names.map((name) => [name, fixture.floats(`${prefix}/${name}`)]));
  expect(fixture.names.filter((name) => name.startsWith('after/'))).toHaveLength(names.length);
  // Both sides of the clip are met.
  expect(Math.min(...gradientNorms)).toBeLessThan(optimizer.clipNorm);
  expect(Math.max(...gradientNorms)).toBeGreaterThan(optimizer.clipNorm);

  const sums = microSums(phase).map(({ name, shape }) => [name, { shape, dtype: 'float32' as const }]);
  const { update } = accumulatedSignatures(settings, phase, { count: 4, length: null });
  const program = compile({
    state: { ...phase.pieces, ...Object.fromEntries(sums) },
    signatures: { update: update! },
  });
  const start = of('parameters');
  program.write({ ...freshState(settings), ...start });
  for (const [step, norm] of gradientNorms.entries()) {
    const gradients = Object.entries(of(`gradients/${step}`)).map(([name, values]) => [microSum(name), values]);
    program.write(Object.fromEntries(gradients) as Values);
    const factor = scheduleFactor(step * batch, schedule);
    expect(factor).toBeCloseTo(scheduleFactors[step]!, 6);
    const scalars = Object.entries(stepScalars(optimizer, step + 1, factor)).map(([name, x]) => [name, [x]]);
    const feeds = scalars.map(([name, x]) => [name, Float32Array.from(x as number[])]);
    const { gradientNorm } = program.run('update', Object.fromEntries(feeds) as Values);
    expect(Math.abs(gradientNorm![0]! / norm - 1)).toBeLessThan(1e-6);
  }
  const values = program.read(names) as Record<string, Float32Array>;
  program.dispose();
  const expected = of('after');
  for (const name of names) {
    const moved = Math.max(...expected[name]!.map((x, i) => Math.abs(x - start[name]![i]!)));
    expect(moved, name).toBeGreaterThan(1e-2);
    // Both are float32: a few units in the last place of what they hold.
    for (const [i, x] of values[name]!.entries())
      expect(Math.abs(x - expected[name]![i]!), `${name}[${i}]`).toBeLessThan(1e-6 * Math.max(1, Math.abs(x)));
  }
});
