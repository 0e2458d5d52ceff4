import { ProgramCache } from '../../src/compile/program-cache.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { TrainingSession } from '../../src/trainer/session.ts';
import { stepSettings } from './shapes.ts';

/**
 * A trainer from the start of its process to the end of its first step, on a batch that is there at once. Argument: the
 * folder of the cache of programs. Says a StartAnswer, and ends.
 */
export interface StartAnswer {
  /** Since the process began, at the end of: loading code and libraries, the graph, the state, the step. */
  readonly loaded: number;
  readonly graph: number;
  readonly state: number;
  readonly ms: number;
}

// What a trainer process has of everything.
new TrainingSession();
const cache = ProgramCache.open(process.argv[2]!);
const settings = stepSettings('step/emoji', 'bf16');
const { tf } = await import('../../src/runtime/tensorflow.ts');
tf.scalar(0).dispose();
const loaded = performance.now();
const trainer = createTrainer(settings, {}, cache);
const graph = performance.now();
trainer.program.write(freshState(settings));
const state = performance.now();
const random = randomStream(1, 'bench');
const { batch, resolution, textLength } = settings.batches;
const images = Uint8Array.from({ length: batch * resolution * resolution * 3 }, () => random.below(256));
const tokens = Int32Array.from({ length: batch * textLength }, () => random.below(settings.model.text.vocabulary));
const made = performance.now() - state;
trainer.step(1, { index: 0, images, tokens, parts: {}, skipped: [] });
const ms = performance.now() - made;
trainer.program.keep();
const answer: StartAnswer = { loaded, graph, state, ms };
process.stdout.write(`${JSON.stringify({ ready: true, ...answer })}\n`);
process.exit(0);
