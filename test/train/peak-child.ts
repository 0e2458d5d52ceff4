import type { Batch } from '../../src/data/batches/types.ts';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { exampleFeeds } from '../../src/train/losses.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { forgetPeak, memoryOf } from '../bench/memory.ts';
import { type PeakShape, peakSettings } from './peak-shapes.ts';

/**
 * Prints how far the peak of a process that makes some steps of a phase rises above what the libraries take, in bytes.
 * Two threads run a graph in another order at each step, so five are made at least; below what is said to be enough, up to three
 * dozen: steps cost less than to compile anew.
 */
const [name, enough] = process.argv.slice(2);
const settings = peakSettings(name as PeakShape);
const most = 36;
tf.scalar(0).dispose();
const base = memoryOf('VmRSS')!;
const trainer = createTrainer(settings);
const load = () => trainer.program.write(freshState(settings));
load();
collectGarbage();
forgetPeak();
const parts: Record<string, Uint8Array | Int32Array | Float32Array> = {};
const feeds = exampleFeeds(settings, phaseState(settings), { count: settings.batches.batch, length: null });
for (const [name, { shape, dtype }] of Object.entries(feeds)) {
  const size = shape.reduce((a, b) => a * b, 1);
  if (dtype === 'uint8') parts[name] = new Uint8Array(size).map((_, i) => i % 251);
  else if (dtype === 'float32') parts[name] = new Float32Array(size).fill(0.1);
  else parts[name] = new Int32Array(size).map((_, i) => (name === 'parallel' ? 0 : i % 4));
}
const { images, tokens, ...rest } = parts;
const batch: Batch = { index: 0, images: images as Uint8Array, tokens: tokens as Int32Array, parts: rest, skipped: [] };
const peak = () => memoryOf('VmHWM')! - base;
for (let step = 1; step <= 5 || (step <= most && peak() < Number(enough)); step++) trainer.step(step, batch);
console.log(peak());
