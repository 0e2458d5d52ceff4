import { createInterface } from 'node:readline';
import { compile } from '../../src/compile/program.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { accumulatedSignatures, microSum } from '../../src/train/signatures.ts';
import { forgetPeak, memoryOf } from './memory.ts';
import { contrastSettings } from './shapes.ts';
import { unitVectors } from './unit-vectors.ts';

/**
 * The sigmoid loss of a whole batch and its gradient, as a step in micro-batches runs it, in a process of its own.
 * Arguments: f32 or bf16, and the batch. Each line read is answered by one run.
 */
export interface ContrastAnswer {
  readonly ms: number;
  readonly loss: number;
  /** Peak of the process beyond what it held with the embeddings, before anything was compiled; null if unknown. */
  readonly beyond: number | null;
  readonly peak: number | null;
}

const batch = Number(process.argv[3]);
const settings = contrastSettings(process.argv[2] as 'f32' | 'bf16', batch);
const { contrast } = accumulatedSignatures(settings, phaseState(settings), { count: batch, length: null });
const width = contrast!.feeds.images!.shape[1]!;
// Every picture is right at its own text, as late in training: its cosine is one.
const images = unitVectors(batch, width, 'contrast');
const feeds = { images, texts: images.slice() };
// The library is loaded when it is first used.
tf.scalar(0).dispose();
const before = memoryOf('VmRSS');
forgetPeak();
const head = ['logit_scale', 'logit_bias'];
const scalar = { shape: [1], dtype: 'float32' } as const;
const state = Object.fromEntries(head.flatMap((name) => [name, microSum(name)]).map((name) => [name, scalar]));
const { precision } = settings;
const program = compile({ state, signatures: { contrast: contrast! } }, { precision });
program.write({ logit_scale: Float32Array.of(Math.log(10)), logit_bias: Float32Array.of(-10) });
const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ ready: true, embeddings: 2 * 4 * batch * width, width });
for await (const _ of createInterface({ input: process.stdin })) {
  const began = performance.now();
  const { loss } = program.run('contrast', feeds);
  const ms = performance.now() - began;
  const peak = memoryOf('VmHWM');
  say({ ms, loss: loss![0]!, peak, beyond: peak && before && peak - before });
}
process.exit(0);
