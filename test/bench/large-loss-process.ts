import { createInterface } from 'node:readline';
import { compile } from '../../src/compile/program.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { contrast, patchHead } from './large-losses.ts';
import { forgetPeak, memoryOf } from './memory.ts';

/** One large loss with its gradient, in a process of its own. Arguments: a LargeLossJob as JSON. Each line read is answered by one run. */
export interface LargeLossJob {
  readonly kind: 'contrast' | 'patch-head';
  readonly precision: 'f32' | 'bf16';
  /** Pairs, or images. */
  readonly batch: number;
}
export interface LargeLossAnswer {
  readonly ms: number;
  readonly loss: number;
  /** Peak of the process beyond what it held with its inputs, before anything was compiled; null if unknown. */
  readonly beyond: number | null;
  readonly peak: number | null;
}

const { kind, precision, batch } = JSON.parse(process.argv[2]!) as LargeLossJob;
const { definition, state, feeds, flops } = (kind === 'contrast' ? contrast : patchHead)(precision, batch);
// The library is loaded when it is first used.
tf.scalar(0).dispose();
const before = memoryOf('VmRSS');
forgetPeak();
const program = compile(definition, { precision });
program.write(state);
const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
const bytes = Object.values(feeds).reduce((sum, { byteLength }) => sum + byteLength, 0);
say({ ready: true, bytes, flops });
for await (const _ of createInterface({ input: process.stdin })) {
  const began = performance.now();
  const { loss } = program.run('loss', feeds);
  const ms = performance.now() - began;
  const peak = memoryOf('VmHWM');
  say({ ms, loss: loss![0]!, peak, beyond: peak && before && peak - before });
}
process.exit(0);
