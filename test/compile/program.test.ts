import { describe, expect, it } from 'vitest';
import type { ProgramDefinition } from '../../src/compile/definition.ts';
import { compile } from '../../src/compile/program.ts';
import { TraceError } from '../../src/compile/trace.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { tinySettings } from '../train/settings.ts';

const scalar = { shape: [], dtype: 'float32' } as const;

/** A running sum with a decay: small enough to follow by hand. */
const counter: ProgramDefinition = {
  state: { sum: { shape: [2], dtype: 'float32' } },
  signatures: {
    add: {
      feeds: { x: { shape: [2], dtype: 'float32' }, decay: scalar },
      run: (state, feeds) => {
        const sum = state.sum!.mul(feeds.decay!).add(feeds.x!);
        return { outputs: { before: state.sum!, after: sum }, state: { sum } };
      },
    },
    total: { feeds: {}, run: (state) => ({ outputs: { total: state.sum!.sum() } }) },
  },
};

describe('a program without a state yet', () => {
  it('is planned by calls that leave nothing: a step in micro-batches then does what it does unplanned', () => {
    const settings = { ...tinySettings, accumulate: 2 };
    const trained = (plan: boolean) => {
      const { program, stateNames, step } = createTrainer(settings);
      if (plan) program.plan();
      program.write(freshState(settings));
      const { batch, resolution, textLength } = settings.batches;
      const images = new Uint8Array(batch * resolution * resolution * 3).map((_, i) => i % 251);
      const tokens = new Int32Array(batch * textLength).map((_, i) => i % 9);
      const { loss } = step(1, { index: 0, images, tokens, parts: {}, skipped: [] });
      const values = program.read(stateNames);
      program.dispose();
      return { loss, values };
    };
    const planned = trained(true);
    expect(Number.isFinite(planned.loss)).toBe(true);
    expect(planned).toEqual(trained(false));
  });
});

describe('fused elementwise chains', () => {
  const chain: ProgramDefinition = {
    state: { w: { shape: [4, 3], dtype: 'float32' } },
    signatures: {
      step: {
        feeds: { x: { shape: [5, 4], dtype: 'float32' } },
        run: ({ w }, { x }) => {
          const y = x!.matMul(w!);
          const z = y.mul(y.tanh()).add(y.sum(1, true)).sub(0.5);
          const scale = z.square().sum().sqrt();
          const next = w!.mul(0.9).add(z.mean(0).div(scale));
          return { outputs: { z, scale }, state: { w: next } };
        },
      },
    },
  };

  it('are left alone when they are short', () => {
    const programs = [compile(chain), compile(chain, { fuseFrom: Number.POSITIVE_INFINITY })];
    expect(programs[0]!.hash).toBe(programs[1]!.hash);
    for (const program of programs) program.dispose();
  });

  it('give the values of the ops one by one, and fewer nodes', () => {
    const [fused, plain] = [compile(chain, { fuseFrom: 0 }), compile(chain, { fuseFrom: Number.POSITIVE_INFINITY })];
    expect(fused.nodes).toBeLessThan(plain.nodes);
    const w = Float32Array.from({ length: 12 }, (_, i) => Math.sin(i));
    const x = Float32Array.from({ length: 20 }, (_, i) => Math.cos(3 * i));
    for (const program of [fused, plain]) program.write({ w });
    for (let step = 0; step < 3; step++) {
      const [a, b] = [fused.run('step', { x }), plain.run('step', { x })];
      expect([...a.z!]).toEqual([...b.z!].map((value) => expect.closeTo(value, 5)));
      expect(a.scale![0]!).toBeCloseTo(b.scale![0]!, 4);
    }
    expect([...fused.read(['w']).w!]).toEqual([...plain.read(['w']).w!].map((value) => expect.closeTo(value, 5)));
    fused.dispose();
    plain.dispose();
  });
});

describe('bfloat16 matmuls', () => {
  const product: ProgramDefinition = {
    state: {},
    signatures: {
      multiply: {
        feeds: { a: { shape: [1, 2], dtype: 'float32' }, b: { shape: [2, 1], dtype: 'float32' } },
        run: (_, { a, b }) => ({ outputs: { y: a!.matMul(b!) } }),
      },
    },
  };

  it('round what goes in and what comes out to 8 bits of mantissa', () => {
    const program = compile(product, { precision: 'bf16' });
    // 1 + 2^-9 is not a bfloat16 and rounds to 1; 256 + 1 rounds to 256 (ties to even).
    const { y } = program.run('multiply', { a: Float32Array.of(1 + 2 ** -9, 1), b: Float32Array.of(256, 1) });
    expect(y![0]).toBe(256);
    program.dispose();
  });
});

describe('a compiled program', () => {
  it('keeps its state between calls and shares it between signatures', () => {
    const program = compile(counter);
    program.write({ sum: Float32Array.of(1, 2) });
    const first = program.run('add', { x: Float32Array.of(10, 20), decay: Float32Array.of(0.5) });
    expect([...first.before!]).toEqual([1, 2]);
    expect([...first.after!]).toEqual([10.5, 21]);
    program.run('add', { x: Float32Array.of(0, 1), decay: Float32Array.of(2) });
    expect([...program.read(['sum']).sum!]).toEqual([21, 43]);
    expect([...program.run('total', {}).total!]).toEqual([64]);
    program.dispose();
  });

  it('does not share state with another program of the same names', () => {
    const [a, b] = [compile(counter), compile(counter)];
    a.write({ sum: Float32Array.of(1, 1) });
    b.write({ sum: Float32Array.of(5, 5) });
    a.run('add', { x: Float32Array.of(1, 1), decay: Float32Array.of(1) });
    expect([...a.read(['sum']).sum!]).toEqual([2, 2]);
    expect([...b.read(['sum']).sum!]).toEqual([5, 5]);
    expect(a.hash).toBe(b.hash);
    a.dispose();
    b.dispose();
  });

  it('is not changed by writing to an array that it was given', () => {
    const program = compile(counter);
    const values = Float32Array.of(1, 2);
    program.write({ sum: values });
    values.fill(9);
    expect([...program.read(['sum']).sum!]).toEqual([1, 2]);
    program.dispose();
  });

  it('refuses a function whose result depends on a value read back to the host', () => {
    const readsBack: ProgramDefinition = {
      state: {},
      signatures: {
        relu: {
          feeds: { x: scalar },
          run: (_, { x }) => ({ outputs: { y: x!.mul(2).dataSync()[0]! > 0 ? x! : tf.scalar(0) } }),
        },
      },
    };
    expect(() => compile(readsBack)).toThrow(TraceError);
    expect(() => compile(readsBack)).toThrow(/read back to the host after Mul/);
  });

  it('refuses AddN of more than two, whose result depends on timing', () => {
    const adds: ProgramDefinition = {
      state: {},
      signatures: { sum: { feeds: { x: scalar }, run: (_, { x }) => ({ outputs: { y: tf.addN([x!, x!, x!]) } }) } },
    };
    expect(() => compile(adds)).toThrow(/AddN adds in no fixed order/);
  });

  it('leaves the backend as it was, also after a refusal', () => {
    const sum = tf.tidy(() => tf.tensor1d([1, 2, 3]).sum().dataSync()[0]);
    expect(sum).toBe(6);
  });

  it('names the signatures, feeds and state that exist when asked for others', () => {
    const program = compile(counter);
    expect(() => program.run('subtract', {})).toThrow('no signature subtract; it has add, total');
    expect(() => program.run('add', { x: Float32Array.of(0, 0) })).toThrow('signature add needs the feed decay');
    expect(() => program.read(['mean'])).toThrow('no state named mean');
    program.dispose();
  });

  it('takes bytes as a feed and gathers rows without reading ids back', async () => {
    const { bytesToFloat } = await import('../../src/compile/ops/bytes-to-float.ts');
    const { gatherRows } = await import('../../src/compile/ops/gather-rows.ts');
    const program = compile({
      state: { table: { shape: [3, 2], dtype: 'float32' } },
      signatures: {
        look: {
          feeds: { bytes: { shape: [2], dtype: 'uint8' }, ids: { shape: [2], dtype: 'int32' } },
          run: (state, { bytes, ids }) => ({
            outputs: { rows: gatherRows(state.table!, ids!), floats: bytesToFloat(bytes!) },
          }),
        },
      },
    });
    program.write({ table: Float32Array.of(0, 1, 10, 11, 20, 21) });
    const { rows, floats } = program.run('look', { bytes: Uint8Array.of(7, 255), ids: Int32Array.of(2, 0) });
    expect([...rows!]).toEqual([20, 21, 0, 1]);
    expect([...floats!]).toEqual([7, 255]);
    expect(() => program.run('look', { bytes: Uint8Array.of(0, 0), ids: Int32Array.of(3, 0) })).toThrow(
      /not in \[0, 3\)/,
    );
    program.dispose();
  });
});
