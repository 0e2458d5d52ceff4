import { describe, expect, it } from 'vitest';
import type { ProgramDefinition, Values } from '../../src/compile/definition.ts';
import { compile } from '../../src/compile/program.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { long } from '../support/long.ts';
import { naflexBatchAt } from '../train/naflex-batch.ts';
import { noiseBatch } from '../train/tiny-objectives.ts';
import { phases } from './programs.ts';

const { sigmoid } = phases as Record<string, PhaseSettings>;

/** With one block a tower: what the blocks beyond it cost XLA, the cases that have two pay once. */
const shallow = (settings: PhaseSettings): PhaseSettings => {
  const { model } = settings;
  return { ...settings, model: { ...model, vision: { ...model.vision, depth: 1 } } };
};

/** Steps from a fresh state; XLA takes its time to compile them. */
function train(settings: PhaseSettings, steps: number) {
  const trainer = createTrainer(settings);
  trainer.program.write(freshState(settings));
  const batchAt = settings.batches.naflex ? naflexBatchAt : (step: number) => noiseBatch(settings, step);
  const losses = Array.from({ length: steps }, (_, i) => trainer.step(i + 1, batchAt(i + 1)).loss);
  const values = trainer.program.read(trainer.stateNames);
  trainer.program.dispose();
  return { losses, values, hash: trainer.program.hash };
}

/** One step of plain descent shows the gradient: Adam would hide its size. */
function gradient(settings: PhaseSettings): number[] {
  const optimizer = { ...settings.optimizer, clipNorm: 1e9, beta1: 0, beta2: 0, epsilon: 1e6, learningRate: 1e6 };
  const plain = { ...settings, optimizer: { ...optimizer, weightDecay: 0, multipliers: {} } };
  const start = freshState(plain);
  const { values } = train({ ...plain, schedule: { total: 600, warmup: 0 } }, 1);
  return Object.entries(values).flatMap(([name, after]) =>
    /^[mv]\//.test(name) ? [] : [...after].map((value, i) => value - start[name]![i]!),
  );
}

/** Length of the difference in lengths of the second. */
function apart(a: readonly number[], b: readonly number[]): number {
  const length = (of: readonly number[]) => Math.sqrt(of.reduce((sum, x) => sum + x * x, 0));
  return length(a.map((x, i) => x - b[i]!)) / length(b);
}

/** Softmax does not see a shift of all keys: the gradient of their bias is rounding, which Adam scales up. */
const noise = /k_proj.bias|in_proj_bias/;

function expectNear(actual: Values, expected: Values, tolerance: number) {
  expect(Object.keys(actual)).toEqual(Object.keys(expected));
  for (const [name, values] of Object.entries(actual)) {
    if (noise.test(name)) continue;
    const scale = Math.max(1e-3, ...expected[name]!.map(Math.abs));
    expect(Math.max(...values.map((x, i) => Math.abs(x - expected[name]![i]!))) / scale, name).toBeLessThan(tolerance);
  }
}

function expectSameLosses(actual: readonly number[], expected: readonly number[], tolerance: number) {
  expect(new Set(expected).size).toBe(expected.length);
  for (const [i, loss] of actual.entries()) expect(Math.abs(loss / expected[i]! - 1)).toBeLessThan(tolerance);
}

// XLA takes tens of seconds to compile a step for a CPU.
describe('a whole step under XLA', { timeout: 600_000 }, () => {
  it('gives the losses and the state of the ordinary graph over 20 steps', () => {
    const expected = train(sigmoid!, 20);
    const one = train({ ...sigmoid!, xla: 'on' }, 20);
    expectSameLosses(one.losses, expected.losses, 1e-5);
    expectNear(one.values, expected.values, 1e-3);
    expect(one.hash).not.toBe(expected.hash);
  });

  it('in bfloat16 is as near to float32 as the ordinary graph in bfloat16', () => {
    const single = shallow(sigmoid!);
    const half = { ...single, precision: 'bf16' } as const;
    const exact = gradient(single);
    const ordinary = apart(gradient(half), exact);
    expect(ordinary).toBeGreaterThan(1e-3);
    expect(apart(gradient({ ...half, xla: 'on' }), exact)).toBeLessThan(1.5 * ordinary);
    const one = train({ ...half, xla: 'on' }, 20);
    expectSameLosses(one.losses, train(half, 20).losses, 0.03);
    if (long) expect(train({ ...half, xla: 'on' }, 20)).toEqual(one);
  });

  const cases: (readonly [string, PhaseSettings])[] = [
    ['in micro-batches with activations computed again', { ...sigmoid!, accumulate: 3, remat: 'blocks' }],
    ['on images of any shape', shallow(phases['images of any shape']!)],
    ['with every objective', phases['every objective']!],
  ];
  // What the others are of, which graph they have beside: golden losses and `train/` hold that without XLA.
  it.each(long ? cases : cases.slice(0, 1))(
    '%s gives the losses and the state of the ordinary graph',
    (_, settings) => {
      const [under, ordinary] = [train({ ...settings, xla: 'on' }, 6), train(settings, 6)];
      expectSameLosses(under.losses, ordinary.losses, 1e-5);
      expectNear(under.values, ordinary.values, 1e-3);
    },
  );
});

describe('a program whose signatures are functions', () => {
  const scalar = { shape: [], dtype: 'float32' } as const;
  const counter: ProgramDefinition = {
    state: { sum: scalar, last: scalar },
    signatures: {
      add: {
        feeds: { x: scalar },
        run: ({ sum }, { x }) => ({ outputs: { before: sum!, given: x! }, state: { sum: sum!.add(x!), last: x! } }),
      },
      both: { feeds: {}, run: ({ sum, last }) => ({ outputs: { both: sum!.add(last!) } }) },
    },
  };

  it('shares its state between them, gives what was before a write, and writes what no output needs', () => {
    const program = compile(counter, { xla: true });
    program.write({ sum: Float32Array.of(1), last: Float32Array.of(0) });
    expect(program.run('add', { x: Float32Array.of(10) })).toEqual({
      before: Float32Array.of(1),
      given: Float32Array.of(10),
    });
    program.run('add', { x: Float32Array.of(5) });
    expect(program.read(['sum', 'last'])).toEqual({ sum: Float32Array.of(16), last: Float32Array.of(5) });
    expect(program.run('both', {}).both).toEqual(Float32Array.of(21));
    program.dispose();
  });

  it('reads the nearest row for an id outside of a table, where the ordinary graph fails', async () => {
    const { gatherRows } = await import('../../src/compile/ops/gather-rows.ts');
    const look: ProgramDefinition = {
      state: { table: { shape: [3, 1], dtype: 'float32' } },
      signatures: {
        look: {
          feeds: { ids: { shape: [2], dtype: 'int32' } },
          run: ({ table }, { ids }) => ({ outputs: { rows: gatherRows(table!, ids!) } }),
        },
      },
    };
    const program = compile(look, { xla: true });
    program.write({ table: Float32Array.of(10, 20, 30) });
    expect(program.run('look', { ids: Int32Array.of(7, 1) }).rows).toEqual(Float32Array.of(30, 20));
    program.dispose();
  });
});
