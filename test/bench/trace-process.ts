import { tf } from '../../src/runtime/tensorflow.ts';
import { createTrainer } from '../../src/train/step.ts';
import { memoryOf } from './memory.ts';
import type { TraceName } from './names.ts';
import { precisionOf, traceSettings } from './shapes.ts';

/** Traces and loads one step in a process of its own, says a TraceAnswer, and ends. Arguments: name and variant. */
export interface TraceAnswer {
  readonly ms: number;
  readonly peak: number | null;
}

const [name, variant] = process.argv.slice(2) as [TraceName, string];
const settings = traceSettings(name, precisionOf(variant));
// The library is loaded when it is first used.
tf.scalar(0).dispose();
const began = performance.now();
createTrainer(settings);
const ms = performance.now() - began;
const answer: TraceAnswer = { ms, peak: memoryOf('VmHWM') };
process.stdout.write(`${JSON.stringify({ ready: true, ...answer })}\n`);
process.exit(0);
