import { describe, expect, it } from 'vitest';
import { dataTypes } from '../../src/compile/graph.ts';
import { outputsOf } from '../../src/compile/phantom.ts';
import { compile } from '../../src/compile/program.ts';
import { nodeBackend, tf } from '../../src/runtime/tensorflow.ts';

const unary = [
  'Neg',
  'Square',
  'Sqrt',
  'Rsqrt',
  'Exp',
  'Log',
  'Log1p',
  'Tanh',
  'Sigmoid',
  'Abs',
  'Floor',
  'Softplus',
  'Relu',
];
const binary = ['Add', 'AddV2', 'Sub', 'Mul', 'RealDiv', 'Maximum', 'Minimum'];

describe('the shapes that a trace works out by itself', () => {
  /** What is worked out for phantoms, and what TensorFlow makes of ones. */
  const specs = (op: string, shapes: readonly (readonly number[])[], type: 'float32' | 'int32') => {
    const backend = nodeBackend();
    const attrs = [{ name: 'T', type: backend.binding.TF_ATTR_TYPE, value: dataTypes[type] }];
    const inputs = shapes.map((shape) => tf.ones([...shape], type));
    const phantoms = shapes.map((shape) => ({ shape, dtype: dataTypes[type] }));
    const [ours] = outputsOf(backend, op, attrs, inputs, phantoms, 1);
    const { shape, dtype } = backend.executeSingleOutput(op, attrs, inputs);
    return { ours, theirs: { shape, dtype: dataTypes[dtype as 'float32' | 'int32'] } };
  };

  it('are those of TensorFlow', () => {
    const alone = [[[]], [[3]], [[2, 0, 4]]];
    const pairs = [
      [[], [2, 3]],
      [[3], [2, 3]],
      [
        [2, 1],
        [1, 3],
      ],
      [
        [4, 1, 2],
        [3, 1],
      ],
      [[0, 3], [1]],
      [[1], [0]],
    ];
    for (const [ops, inputs] of [[unary, alone] as const, [binary, pairs] as const])
      for (const op of ops)
        for (const shapes of inputs)
          for (const type of op === 'Add' || op === 'Mul' ? (['float32', 'int32'] as const) : (['float32'] as const)) {
            const { ours, theirs } = specs(op, shapes, type);
            expect(ours, `${op} ${JSON.stringify(shapes)}`).toEqual(theirs);
          }
  });

  it('leave it to TensorFlow to say what does not fit', () => {
    expect(() => specs('Add', [[2], [3]], 'float32')).toThrow(/ncompatible shapes|broadcast/);
  });

  it('of a large fill are known without making it, and what comes out is filled', () => {
    const large = 2 ** 22;
    const program = compile({
      state: { sum: { shape: [large], dtype: 'float32' } },
      signatures: {
        add: {
          feeds: { x: { shape: [], dtype: 'float32' } },
          run: ({ sum }, { x }) => {
            const filled = tf.fill([large], 3);
            expect(() => filled.dataSync()).toThrow(/read back/);
            return { outputs: { first: sum!.slice([0], [1]) }, state: { sum: filled.mul(x!) } };
          },
        },
      },
    });
    program.write({ sum: new Float32Array(large) });
    program.run('add', { x: Float32Array.of(2) });
    expect(program.read(['sum']).sum!.every((value) => value === 6)).toBe(true);
    program.dispose();
  });
});
