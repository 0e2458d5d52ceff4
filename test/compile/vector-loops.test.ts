import type { Tensor } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import { compile } from '../../src/compile/program.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const rows = 64;
const width = 96;

/** A chain between two matmuls: in bfloat16 it begins and ends with casts. `fuseFrom`: Infinity runs op by op. */
function chain(x: Float32Array, fuseFrom: number, precision: 'f32' | 'bf16') {
  const shape = [rows, width];
  const program = compile(
    {
      state: {},
      signatures: {
        run: {
          feeds: { x: { shape, dtype: 'float32' } },
          run: (_, { x }) => {
            const one = tf.eye(width);
            const input = tf.matMul(x!.mul(1), one);
            const rounded = tf.matMul(input.mul(2).div(2), one);
            const centred = input.sub(input.mean(-1, true));
            const sums = centred.square().sum(-1).add(1) as Tensor;
            return { outputs: { rounded, sums, columns: input.mul(1).abs().sum(0) } };
          },
        },
      },
    },
    { fuseFrom, precision, device: 'cpu' },
  );
  const out = program.run('run', { x });
  program.dispose();
  return out as Record<'rounded' | 'sums' | 'columns', Float32Array>;
}

/** Of each exponent and sign, with ties, zeros, infinities and NaN among them. */
function awkward(): Float32Array {
  const bits = new Uint32Array(rows * width);
  for (let i = 0; i < bits.length; i++) bits[i] = (Math.imul(i + 1, 0x9e37_79b1) >>> 0) & ~0x0080_0000;
  bits.set([0x3f80_8000, 0x3f81_8000, 0xbf80_8000, 0x0000_0000, 0x8000_0000, 0x7f7f_ffff, 0x3f80_8001, 0x3f80_7fff]);
  return new Float32Array(bits.buffer);
}

describe('chains that XLA compiles for a CPU', () => {
  it('round to bfloat16 and back as TensorFlow does op by op, bit for bit', () => {
    const finite = awkward().map((value) => (Math.abs(value) < 1e38 && Math.abs(value) > 1e-30 ? value : 0));
    const [fused, plain] = [chain(finite, 0, 'bf16'), chain(finite, Number.POSITIVE_INFINITY, 'bf16')];
    expect(new Uint32Array(fused.rounded.buffer)).toEqual(new Uint32Array(plain.rounded.buffer));
    expect(plain.rounded.some((value) => Math.abs(value) > 1e30)).toBe(true);
  });

  it('keep what is no number, and what is beyond all numbers', () => {
    const x = new Float32Array(rows * width);
    const bits = new Uint32Array(x.buffer);
    // Rows are apart, since a matmul makes NaN of all that stands in one with it.
    bits[0 * width] = 0x7fc0_0000;
    bits[1 * width] = 0xffff_ffff;
    bits[2 * width] = 0x7fff_ffff;
    const { rounded, sums } = chain(x, 0, 'bf16');
    for (const row of [0, 1, 2]) expect(sums[row]).toBeNaN();
    for (const row of [0, 1, 2]) expect(rounded[row * width]).toBeNaN();
    expect(sums[3]).toBe(1);
  });

  it.each(['f32', 'bf16'] as const)('sum rows and columns as a slow loop does: %s', (precision) => {
    const x = Float32Array.from({ length: rows * width }, (_, i) => ((i * 37) % 101) / 32 - 1.5);
    const { sums, columns } = chain(x, 0, precision);
    for (let row = 0; row < rows; row++) {
      const own = [...x.subarray(row * width, (row + 1) * width)];
      const mean = own.reduce((a, b) => a + b, 0) / width;
      const expected = own.reduce((sum, value) => sum + (value - mean) ** 2, 1);
      expect(Math.abs(sums[row]! / expected - 1)).toBeLessThan(2e-6);
    }
    for (let column = 0; column < width; column++) {
      let expected = 0;
      for (let row = 0; row < rows; row++) expected += Math.abs(x[row * width + column]!);
      expect(Math.abs(columns[column]! / expected - 1)).toBeLessThan(2e-6);
    }
  });
});
