import type { Signature } from '../../src/compile/definition.ts';
import { compile } from '../../src/compile/program.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { nodeBackend, tf } from '../../src/runtime/tensorflow.ts';

/**
 * The machine's matmul peak through the same path as a step: a chain of large square matmuls as one compiled graph.
 * Arguments: f32 or bf16, the number of timed runs, and the side of the matrices. Prints one line of JSON.
 */
const chain = 4;
const precision = process.argv[2] as 'f32' | 'bf16';
const runs = Number(process.argv[3]);
const side = Number(process.argv[4]);

const shape = [side, side];
const product: Signature = {
  feeds: {},
  run({ a, b }) {
    let x = b!;
    for (let i = 0; i < chain; i++) x = tf.matMul(a!, x);
    return { outputs: { corner: x.slice([0, 0], [1, 1]) } };
  },
};
const state = { a: { shape, dtype: 'float32' }, b: { shape, dtype: 'float32' } } as const;
const program = compile({ state, signatures: { product } }, { precision });
const random = randomStream(1, 'matmul');
// Rows of length one: the products keep their size through the chain.
const values = () => Float32Array.from({ length: side * side }, () => random.normal() / Math.sqrt(side));
program.write({ a: values(), b: values() });
const ms: number[] = [];
for (let run = -2; run < runs; run++) {
  const began = performance.now();
  program.run('product', {});
  if (run >= 0) ms.push(performance.now() - began);
}
const tensorflow = nodeBackend().binding.TF_Version ?? tf.version_core;
process.stdout.write(`${JSON.stringify({ ready: true, ms, flops: chain * 2 * side ** 3, tensorflow })}\n`);
process.exit(0);
