import { createInterface } from 'node:readline';
import { retrieval } from '../../src/evaluate/evaluators/retrieval.ts';
import { intervalsOf } from '../../src/evaluate/intervals.ts';
import { type Matrix, unitRows } from '../../src/evaluate/numbers/matrix.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { featureFiles } from '../evaluate/feature-files.ts';
import { forgetPeak, memoryOf } from './memory.ts';

/**
 * The retrieval evaluator on features that lie in files, with its intervals. Arguments: a RetrievalJob as JSON. Each line read is
 * answered by one evaluation. Rows are made up: captions lie around their picture, so that some are found.
 */
export interface RetrievalJob {
  readonly pictures: number;
  readonly captions: number;
  readonly languages: number;
  readonly width: number;
}
export interface RetrievalAnswer {
  readonly ms: number;
  readonly cpuMs: number;
  readonly peak: number | null;
  /** R@1 of texts, the mean over languages. */
  readonly r1: number;
}

const { pictures, captions, languages, width } = JSON.parse(process.argv[2]!) as RetrievalJob;
let state = 1;
const uniform = () => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return state / 2 ** 31;
};
const pooled: Matrix = unitRows({ width, rows: Float32Array.from({ length: pictures * width }, uniform) });
const files = featureFiles();
const tags = Array.from({ length: languages }, (_, i) => `l${i}`);
const test = await files.set({
  pooled,
  concepts: Array.from({ length: pictures }, () => []),
  captions: Object.fromEntries(tags.map((tag) => [tag, textsAround()])),
  examplesOfPart: 1024,
});
const pause = async () => {};
// The library is loaded when it is first used.
tf.scalar(0).dispose();
forgetPeak();
const say = (message: object) => process.stdout.write(`${JSON.stringify(message)}\n`);
say({ ready: true });
for await (const _ of createInterface({ input: process.stdin })) {
  const [began, used] = [performance.now(), process.cpuUsage()];
  const input = { view: 32, test, train: null, classes: null, languages: tags, seed: 0, device: 'cpu', pause } as const;
  const { figures, outcomes } = await retrieval.evaluate(input, { top: [1, 5, 10] });
  intervalsOf(outcomes);
  const { user, system } = process.cpuUsage(used);
  const { mean } = figures as { mean: { text_to_image: { r1: number } } };
  say({
    ...{ ms: performance.now() - began, cpuMs: (user + system) / 1000 },
    ...{ peak: memoryOf('VmHWM'), r1: mean.text_to_image.r1 },
  });
}
await files.close();
process.exit(0);

function textsAround(): Matrix & { readonly of: readonly number[] } {
  const rows = new Float32Array(captions * pictures * width);
  for (let i = 0; i < rows.length; i++) {
    const picture = Math.floor(i / width / captions);
    rows[i] = pooled.rows[picture * width + (i % width)]! * Math.sqrt(width) + 9 * uniform();
  }
  return {
    ...unitRows({ width, rows }),
    of: Array.from({ length: captions * pictures }, (_, j) => Math.floor(j / captions)),
  };
}
