import type { ProgramDefinition, Values } from '../../src/compile/definition.ts';
import { dinoHeadSpecs } from '../../src/model/dino-head-parameters.ts';
import { initialise } from '../../src/model/initialise.ts';
import { distil } from '../../src/objectives/distillation.ts';
import { differentiate } from '../../src/optimiser/differentiate.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { accumulatedSignatures, microSum } from '../../src/train/signatures.ts';
import { contrastSettings } from './shapes.ts';
import { unitVectors } from './unit-vectors.ts';

/** A loss whose memory is not that of its inputs, with its gradient, as the one signature of a program. */
export interface LargeLoss {
  readonly definition: ProgramDefinition;
  readonly state: Values;
  readonly feeds: Values;
  /** Of its matmuls, by what they are computed in. */
  readonly flops: Readonly<Record<'f32' | 'bf16', number>>;
}

/**
 * The sigmoid loss of a whole batch of B/16, as a step in micro-batches runs it: three matmuls of (B, B, E), of which that of
 * the logits is in float32 in any precision.
 */
export function contrast(precision: 'f32' | 'bf16', batch: number): LargeLoss {
  const settings = contrastSettings(precision, batch);
  const { contrast } = accumulatedSignatures(settings, phaseState(settings), { count: batch, length: null });
  const width = contrast!.feeds.images!.shape[1]!;
  const matmul = 2 * batch ** 2 * width;
  const head = ['logit_scale', 'logit_bias'];
  const scalar = { shape: [1], dtype: 'float32' } as const;
  const state = Object.fromEntries(head.flatMap((name) => [name, microSum(name)]).map((name) => [name, scalar]));
  // Every picture is right at its own text, as late in training: its cosine is one.
  const images = unitVectors(batch, width, 'contrast');
  return {
    definition: { state, signatures: { loss: contrast! } },
    state: { logit_scale: Float32Array.of(Math.log(10)), logit_bias: Float32Array.of(-10) },
    feeds: { images, texts: images.slice() },
    flops: precision === 'f32' ? { f32: 3 * matmul, bf16: 0 } : { f32: matmul, bf16: 2 * matmul },
  };
}

/** Masked prediction of B/16 at 256 pixels from the features of the towers on: 256 patches of an image, half of them masked. */
export function patchHead(precision: 'f32' | 'bf16', images: number): LargeLoss {
  const [patches, masked, width] = [256, 128, 768];
  const size = { hidden: 2048, bottleneck: 256, prototypes: 32_768 };
  const settings = { ...size, weight: 1, studentTemperature: 0.1, teacherTemperature: 0.04, centerMomentum: 0.9 };
  const specs = dinoHeadSpecs('patch_head', width, size);
  const names = specs.map(({ name }) => name);
  const shapes = Object.fromEntries(specs.map(({ name, shape }) => [name, { shape, dtype: 'float32' as const }]));
  const rows = (count: number) => ({ shape: [images * count, width], dtype: 'float32' as const });
  const feeds = {
    student: rows(masked),
    teacher: rows(patches),
    targets: { shape: [images, masked], dtype: 'int32' as const },
  };
  const taught = Object.fromEntries(names.map((name) => [`teacher/${name}`, shapes[name]!]));
  const state = { ...shapes, ...taught, center: { shape: [size.prototypes], dtype: 'float32' as const } };
  const values = Object.fromEntries(specs.map((spec) => [spec.name, initialise(1, spec)]));
  const row = size.hidden * (width + size.hidden + size.bottleneck) + size.bottleneck * size.prototypes;
  return {
    definition: {
      state,
      signatures: {
        loss: {
          feeds,
          run(state, { student, teacher, targets }) {
            const { value, gradients, aside } = differentiate(
              [...names, 'student'],
              { ...state, student: student! },
              (p) => {
                const { loss, center_K } = distil(
                  {
                    ...{ head: 'patch_head', p, images, center_K: state.center!, targets_BS: targets! },
                    teacher: Object.fromEntries(names.map((name) => [name, state[`teacher/${name}`]!])),
                    ...{ student_BSxD: p.student!, teacher_BTxD: teacher! },
                  },
                  settings,
                );
                return { value: loss, aside: { center: center_K } };
              },
            );
            const { student: dStudent, ...next } = gradients;
            return { outputs: { loss: value, dStudent: dStudent! }, state: { ...next, center: aside.center! } };
          },
        },
      },
    },
    state: {
      ...values,
      ...Object.fromEntries(names.map((name) => [`teacher/${name}`, values[name]!])),
      center: new Float32Array(size.prototypes),
    },
    feeds: {
      student: unitVectors(images * masked, width, 'student'),
      teacher: unitVectors(images * patches, width, 'teacher'),
      targets: Int32Array.from({ length: images * masked }, (_, i) => 2 * (i % masked)),
    },
    flops: { f32: 0, bf16: 0, [precision]: 2 * row * images * (3 * masked + patches) },
  };
}
