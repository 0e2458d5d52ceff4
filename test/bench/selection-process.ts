import { createInterface } from 'node:readline';
import type { Embeddings } from '../../src/curation/pair-scores.ts';
import { openSelector } from '../../src/curation/selector.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { forgetPeak, memoryOf } from './memory.ts';
import { unitVectors } from './unit-vectors.ts';

/**
 * Selections of half of so many candidates, in a process of its own. Arguments: a SelectionJob as JSON. Each line
 * read is answered by one selection.
 */
export interface SelectionJob {
  readonly candidates: number;
  readonly width: number;
  readonly chunks: number;
}
export interface SelectionAnswer {
  readonly ms: number;
  /** Peak of the process beyond what it held before it compiled anything, the embeddings among it; null if unknown. */
  readonly beyond: number | null;
  readonly peak: number | null;
}

const { candidates, width, chunks } = JSON.parse(process.argv[2]!) as SelectionJob;
const embeddings = (model: string): Embeddings => ({
  images: unitVectors(candidates, width, `${model}/images`),
  texts: unitVectors(candidates, width, `${model}/texts`),
  logitScale: Math.log(10),
  logitBias: -10,
});
const learner = embeddings('learner');
const teacher = embeddings('teacher');
// The library is loaded when it is first used.
tf.scalar(0).dispose();
const before = memoryOf('VmRSS');
forgetPeak();
const selector = openSelector({
  candidates,
  picks: candidates / 2,
  chunks,
  scores: 'learnability',
  joint: true,
  learnerWidth: width,
  teacherWidth: width,
  seed: 1,
  phase: 'bench',
});
const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ ready: true, embeddings: 4 * 4 * candidates * width });
let step = 0;
for await (const _ of createInterface({ input: process.stdin })) {
  const began = performance.now();
  await selector.select({ learner, teacher, step: ++step });
  const ms = performance.now() - began;
  const peak = memoryOf('VmHWM');
  say({ ms, peak, beyond: peak && before && peak - before });
}
process.exit(0);
