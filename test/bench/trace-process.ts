import { tf } from '../../src/runtime/tensorflow.ts';
import { createTrainer } from '../../src/train/step.ts';
import { memoryOf } from './memory.ts';
import { precisionOf, traceSettings } from './shapes.ts';

/** Traces and loads one step in a process of its own, says a TraceAnswer, and ends. Argument: the variant. */
export interface TraceAnswer {
  readonly ms: number;
  readonly peak: number | null;
}

const settings = traceSettings(precisionOf(process.argv[2]!));
// The library is loaded when it is first used.
tf.scalar(0).dispose();
const began = performance.now();
createTrainer(settings);
const ms = performance.now() - began;
const answer: TraceAnswer = { ms, peak: memoryOf('VmHWM') };
process.stdout.write(`${JSON.stringify({ ready: true, ...answer })}\n`);
process.exit(0);
