import type { Batch } from '../../src/data/batches/types.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { memoryOf } from '../bench/memory.ts';
import { wideSettings } from './wide-settings.ts';

/** Prints how far the peak of a process rises above what it held before its first step, in bytes. */
const { accumulate, remat, steps } = JSON.parse(process.argv[2]!) as {
  accumulate: number;
  remat: 'none' | 'blocks';
  steps: number;
};
const settings = { ...wideSettings, accumulate, remat };
const trainer = createTrainer(settings, { fuseFrom: Number.POSITIVE_INFINITY });
trainer.program.write(freshState(settings));
const { batch, resolution, textLength } = settings.batches;
const example: Batch = {
  index: 0,
  images: new Uint8Array(batch * resolution * resolution * 3).map((_, i) => i % 251),
  tokens: new Int32Array(batch * textLength).map((_, i) => i % 9),
  parts: {},
  skipped: [],
};
const before = memoryOf('VmRSS');
for (let step = 1; step <= steps; step++) trainer.step(step, example);
console.log(JSON.stringify({ before, peak: memoryOf('VmHWM') }));
