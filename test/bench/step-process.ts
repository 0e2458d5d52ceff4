import type { Tensor } from '@tensorflow/tfjs';
import { dataTypes } from '../../src/compile/graph.ts';
import { rawOp } from '../../src/compile/trace.ts';
import type { Batch } from '../../src/data/batches/types.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import { stepScalars } from '../../src/optimiser/optimiser.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';
import { nodeBackend, tf } from '../../src/runtime/tensorflow.ts';
import { type TensorToWrite, writeSafetensors } from '../../src/safetensors/safetensors-write.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { stepSignature } from '../../src/train/signatures.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { answerTurns } from './answer-turns.ts';
import { memoryOf } from './memory.ts';
import type { benchmarks, StepName } from './names.ts';
import { noiseBatch } from './noise-batch.ts';
import { precisionOf, type ShapeName, stepSettings } from './shapes.ts';

/**
 * One variant of a step in a process of its own, so that its memory is its own. Arguments: a StepJob as JSON.
 * Answers as line-process.ts says.
 */
export interface StepJob {
  readonly name: ShapeName;
  readonly variant: (typeof benchmarks)[StepName][number];
  readonly warmUp: number;
  /** Where to write parameters, images and tokens for a peer that starts from the same. */
  readonly weights?: string;
}

type Step = (step: number, batch: Batch) => number;

function compiledStep(settings: PhaseSettings): Step {
  const trainer = createTrainer(settings);
  const load = () => trainer.program.write(freshState(settings));
  load();
  // As a training session does.
  collectGarbage();
  return (step, batch) => trainer.step(step, batch).loss;
}

/** The same function of state and feeds, op by op as TF.js does it. */
function eagerStep(settings: PhaseSettings): Step {
  const specs = parameterSpecs(settings.model, settings.init);
  const signature = stepSignature(settings, phaseState(settings));
  const shapes = new Map<string, number[]>(
    specs.flatMap(({ name, shape }) => [name, `m/${name}`, `v/${name}`].map((key) => [key, [...shape]] as const)),
  );
  let state: Record<string, Tensor> = Object.fromEntries(
    Object.entries(freshState(settings)).map(([name, values]) => [name, tf.tensor(values, shapes.get(name)!)]),
  );
  return (step, batch) => {
    const { images, tokens } = signature.feeds;
    const scalars = stepScalars(settings.optimizer, step, 1);
    const result = tf.tidy(() => {
      const { outputs, state: next } = signature.run(state, {
        images: bytesTensor(batch.images, [...images!.shape]),
        tokens: tf.tensor(batch.tokens, [...tokens!.shape], 'int32'),
        schedule: tf.scalar(scalars.schedule),
        correction1: tf.scalar(scalars.correction1),
        correction2: tf.scalar(scalars.correction2),
      });
      return { ...next, loss: outputs.loss! };
    });
    const { loss, ...next } = result;
    tf.dispose(state);
    state = next;
    const value = loss.dataSync()[0]!;
    loss.dispose();
    return value;
  };
}

/** Bytes as TensorFlow's uint8, which TF.js itself does not have. */
function bytesTensor(values: Uint8Array, shape: number[]): Tensor {
  const { binding } = nodeBackend();
  const attrs = [
    { name: 'SrcT', type: binding.TF_ATTR_TYPE, value: dataTypes.int32 },
    { name: 'DstT', type: binding.TF_ATTR_TYPE, value: dataTypes.uint8 },
    { name: 'Truncate', type: binding.TF_ATTR_BOOL, value: false },
  ];
  return rawOp('Cast', attrs, [tf.tensor(Int32Array.from(values), shape, 'int32')]) as unknown as Tensor;
}

async function writeWeights(path: string, settings: PhaseSettings, batch: Batch): Promise<void> {
  const state = freshState(settings);
  const { resolution, textLength, batch: size } = settings.batches;
  const bytes = ({ buffer, byteOffset, byteLength }: ArrayBufferView) => new Uint8Array(buffer, byteOffset, byteLength);
  const tensors = parameterSpecs(settings.model, settings.init).map(
    ({ name, shape }): TensorToWrite => ({ name, dtype: 'F32', shape, data: bytes(state[name]!) }),
  );
  tensors.push(
    { name: 'images', dtype: 'U8', shape: [size, resolution, resolution, 3], data: batch.images },
    { name: 'tokens', dtype: 'I32', shape: [size, textLength], data: bytes(batch.tokens) },
  );
  await writeSafetensors(path, tensors);
}

const job = JSON.parse(process.argv[2]!) as StepJob;
const base = memoryOf('VmRSS');
const settings: PhaseSettings = {
  ...stepSettings(job.name, precisionOf(job.variant)),
  xla: job.variant.endsWith('-xla') ? 'on' : 'off',
};
const batch = noiseBatch(settings);
if (job.weights !== undefined) await writeWeights(job.weights, settings, batch);
const began = performance.now();
const step = (job.variant === 'eager' ? eagerStep : compiledStep)(settings);
let count = 0;
await answerTurns(() => step(++count, batch), {
  warmUp: job.warmUp,
  base,
  began,
  version: tf.version['tfjs-core'],
});
