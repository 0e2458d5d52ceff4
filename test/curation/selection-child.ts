import { createHash } from 'node:crypto';
import { openSelector } from '../../src/curation/selector.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { forgetPeak, memoryOf } from '../bench/memory.ts';
import { unitVectors } from '../bench/unit-vectors.ts';

/**
 * Selects half of so many candidates and prints a hash of everything that comes out, and how far the peak of the
 * process rose above what it held before the selection was compiled, in bytes.
 */
const { candidates, width, tile } = JSON.parse(process.argv[2]!) as { candidates: number; width: number; tile: number };
const rows = (of: string) => unitVectors(candidates, width, of);
const learner = { images: rows('a'), texts: rows('b'), logitScale: 2, logitBias: -4 };
const teacher = { images: rows('c'), texts: rows('d'), logitScale: 3, logitBias: -5 };
tf.scalar(0).dispose();
const before = memoryOf('VmRSS');
forgetPeak();
const settings = { candidates, picks: candidates / 2, chunks: 16, scores: 'learnability', joint: true } as const;
const selector = openSelector(
  { ...settings, learnerWidth: width, teacherWidth: width, seed: 1, phase: 'acid' },
  { tile },
);
const { picked, scores, conditional } = await selector.select({ learner, teacher, step: 3 });
const hash = createHash('sha256');
for (const { buffer } of [picked, scores, conditional]) hash.update(new Uint8Array(buffer));
const peak = memoryOf('VmHWM');
console.log(JSON.stringify({ sha256: hash.digest('hex'), beyond: peak && before && peak - before }));
process.exit(0);
