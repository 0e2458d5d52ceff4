import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { Values } from '../../src/compile/definition.ts';
import type { ObjectiveName } from '../../src/objectives/registry.ts';
import { stepScalars } from '../../src/optimiser/optimiser.ts';
import type { ObjectiveSettings } from '../../src/recipe/objective-settings.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { stepSignature } from '../../src/train/signatures.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { bytesTensor } from './bytes-tensor.ts';
import { tinySettings } from './settings.ts';
import { noiseBatch, tinyObjectives } from './tiny-objectives.ts';

const names = Object.keys(tinyObjectives) as ObjectiveName[];
const alone = (name: ObjectiveName): ObjectiveSettings => ({ [name]: tinyObjectives[name] });
const sets: [string, ObjectiveSettings][] = [
  ...names.map((name): [string, ObjectiveSettings] => [`${name} alone`, alone(name)]),
  ...(names.length > 1 ? [['all together', tinyObjectives] as [string, ObjectiveSettings]] : []),
];

/** Constant learning rate: a step is to be seen from the first on. */
const phaseOf = (objectives: ObjectiveSettings): PhaseSettings => ({
  ...tinySettings,
  objectives,
  schedule: { total: 1e12, warmup: 0 },
});

function train(settings: PhaseSettings, steps: number, batchAt: (step: number) => number) {
  const trainer = createTrainer(settings);
  trainer.program.write(freshState(settings));
  const metrics = Array.from({ length: steps }, (_, i) => {
    return trainer.step(i + 1, noiseBatch(settings, batchAt(i + 1)));
  });
  const values = trainer.program.read(trainer.stateNames);
  trainer.program.dispose();
  return { metrics, values };
}

/** Softmax does not see a shift of all keys: the gradient of their bias is rounding, which Adam scales up. */
const noise = /k_proj.bias|in_proj_bias/;

/** Largest distance of a piece of state in sizes of that piece, over all of them. */
function expectNear(actual: Values, expected: Values, tolerance: number) {
  for (const [name, values] of Object.entries(actual)) {
    if (noise.test(name)) continue;
    const scale = Math.max(1e-3, ...expected[name]!.map(Math.abs));
    const apart = Math.max(...values.map((x, i) => Math.abs(x - expected[name]![i]!)));
    expect(apart / scale, name).toBeLessThan(tolerance);
  }
}

describe.each(sets)('training for %s', (_, objectives) => {
  const settings = phaseOf(objectives);

  it('learns a fixed batch: every loss that is trained falls by a tenth at least', () => {
    const gentle = { ...settings.optimizer, learningRate: 3e-3, weightDecay: 0 };
    const { metrics } = train({ ...settings, optimizer: gentle }, 100, () => 1);
    const [first, last] = [metrics[0]!.objectives, metrics.at(-1)!.objectives];
    for (const name of Object.keys(objectives)) {
      const key = `loss/${name}`;
      expect(last[key]! / first[key]!, `${key} from ${first[key]} to ${last[key]}`).toBeLessThan(0.9);
    }
  });

  it('in three micro-batches, activations computed again, has the gradients of the plain step, and moves teacher and centres as it does', () => {
    // Plain descent shows the gradient: Adam would hide its size.
    const descent = { ...settings.optimizer, clipNorm: 1e9, beta1: 0, beta2: 0, epsilon: 1e6, learningRate: 1e5 };
    const plain = { ...settings, optimizer: { ...descent, weightDecay: 0, multipliers: {} } };
    const [whole, parts] = [{}, { accumulate: 3, remat: 'blocks' as const }].map((how) =>
      train({ ...plain, ...how }, 2, (step) => step),
    );
    expect(parts!.metrics[1]!.loss / whole!.metrics[1]!.loss).toBeCloseTo(1, 4);
    const moving = (values: Values) =>
      Object.fromEntries(Object.entries(values).filter(([key]) => !/^[mv]\//.test(key)));
    expectNear(moving(parts!.values), moving(whole!.values), 1e-4);
  });

  it('compiled gives what the same step gives op by op', () => {
    const start = freshState(settings);
    const { pieces } = phaseState(settings);
    const signature = stepSignature(settings, phaseState(settings));
    const batch = noiseBatch(settings, 1);
    const arrays: Values = { ...batch.parts, images: batch.images, tokens: batch.tokens };
    const eager = tf.tidy(() => {
      const state = Object.fromEntries(
        Object.entries(start).map(([key, values]) => [key, tf.tensor(values, [...pieces[key]!.shape])]),
      );
      const feeds: Record<string, Tensor> = {};
      for (const [name, { shape, dtype }] of Object.entries(signature.feeds)) {
        if (arrays[name] === undefined) continue;
        feeds[name] =
          dtype === 'uint8'
            ? bytesTensor(arrays[name] as Uint8Array, [...shape])
            : tf.tensor(arrays[name]!, [...shape], dtype);
      }
      const scalars = Object.entries(stepScalars(settings.optimizer, 1, 1));
      for (const [name, value] of scalars) feeds[name] = tf.scalar(value);
      const { outputs, state: next } = signature.run(state, feeds);
      const values = Object.entries(next!).map(([key, tensor]): [string, Values[string]] => [
        key,
        tensor.dataSync() as Float32Array,
      ]);
      return { loss: outputs.loss!.dataSync()[0]!, values: Object.fromEntries(values) } as never;
    }) as { loss: number; values: Values };
    const compiled = train(settings, 1, () => 1);
    expect(compiled.metrics[0]!.loss / eager.loss).toBeCloseTo(1, 5);
    // What no objective reads is no part of what a step makes.
    expectNear(compiled.values, { ...start, ...eager.values }, 1e-3);
  });

  it('ends in the same bytes in every run', () => {
    const [a, b] = [train(settings, 4, (step) => step), train(settings, 4, (step) => step)];
    for (const [key, values] of Object.entries(a.values)) expect(values, key).toEqual(b.values[key]);
  });
});
