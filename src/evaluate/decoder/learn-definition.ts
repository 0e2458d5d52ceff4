import type { ProgramDefinition, TensorSpec } from '../../compile/definition.ts';
import { decoderSpecs } from '../../model/decoder-parameters.ts';
import { keyMask } from '../../model/layers.ts';
import type { ModelConfig } from '../../model/sizes.ts';
import { textsLoss } from '../../objectives/captioning.ts';
import { differentiate } from '../../optimiser/differentiate.ts';
import { firstMoment, optimiserStep, secondMoment } from '../../optimiser/optimiser.ts';
import type { OptimizerSettings } from '../../recipe/schema.ts';
import { tf } from '../../runtime/tensorflow.ts';
import type { Lesson } from './lesson.ts';

/** Rows whose logits over the vocabulary exist at a time. */
const chunk = 1024;

/** Adam as a recipe has it where nothing else is said. */
export const optimizerOf = ({ learningRate, weightDecay }: Lesson): OptimizerSettings => ({
  ...{ learningRate, weightDecay },
  ...{ beta1: 0.9, beta2: 0.95, epsilon: 1e-8, clipNorm: 1, multipliers: {} },
});

/**
 * A step of learning to say texts of pictures from their un-pooled features, which stay as they are: the objective, the decoder
 * and the optimiser of training. One text of a picture in each row.
 */
export function learnDefinition(config: ModelConfig, lesson: Lesson, patches: number): ProgramDefinition {
  const { batch, depth } = lesson;
  const { vision, text } = config;
  const specs = decoderSpecs(config, { depth });
  const names = specs.map(({ name }) => name);
  const floats = (...shape: number[]): TensorSpec => ({ shape, dtype: 'float32' });
  const state = specs.flatMap(({ name, shape }) =>
    [name, firstMoment(name), secondMoment(name)].map((key) => [key, floats(...shape)] as const),
  );
  return {
    state: Object.fromEntries(state),
    signatures: {
      step: {
        feeds: {
          encoded: floats(batch, patches, vision.width),
          seen: floats(batch, patches),
          targets: { shape: [batch, text.length], dtype: 'int32' },
          targetWeights: floats(batch, text.length),
          ...{ schedule: floats(), correction1: floats(), correction2: floats() },
        },
        run(p, { encoded, seen, targets, targetWeights, schedule, correction1, correction2 }) {
          const memory = { encoded: encoded!.reshape([batch * patches, vision.width]), mask: keyMask(seen!) };
          const texts = { targets: targets!, targetWeights: targetWeights!, parallel: tf.zeros([batch], 'int32') };
          const { value, gradients } = differentiate(names, p, (at) => ({
            value: textsLoss(at, config, { depth, chunk }, texts, memory, batch).loss,
            aside: {},
          }));
          const scalars = { schedule: schedule!, correction1: correction1!, correction2: correction2! };
          const { state, gradientNorm } = optimiserStep(specs, optimizerOf(lesson), p, gradients, scalars);
          return { outputs: { loss: value, gradientNorm }, state };
        },
      },
    },
  };
}
