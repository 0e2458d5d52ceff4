import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import type { z } from 'zod';
import { ignored } from '../../data/example/pixel-values.ts';
import { tf } from '../../runtime/tensorflow.ts';
import { MaskFigures, maskResolution } from '../dense/mask-figures.ts';
import { classesIn } from '../dense/pictures.ts';
import type { Target } from '../dense/points.ts';
import type { ProbeLoss } from '../dense/probe.ts';
import type { Evaluator } from './contract.ts';
import { probePatches, probeProtocol, type Taught } from './dense-probe.ts';
import type { segmentationSettings } from './dense-settings.ts';

type Settings = z.infer<typeof segmentationSettings>;

/**
 * A linear probe of patches, each with the pooled feature of its picture beside it as TIPS has CLS (SigLIP 2, 3.3.1), learned from
 * pixels of `train` by cross-entropy; scores are upsampled bilinearly to the mask, as mmsegmentation does for DINOv2.
 */
export const segmentation: Evaluator<Settings> = {
  needs: () => ({ train: true, patches: true, mask: true }),
  protocol: (settings, seed) => ({
    ...probeProtocol(settings, seed),
    resolution: maskResolution,
    ignored,
    classes: settings.classes ?? 'as many as masks have',
  }),
  async evaluate(input, settings) {
    const { test, train, pause } = input;
    const classes = settings.classes ?? (await classesIn([train!, test], pause));
    const found = new MaskFigures(classes);
    const taught: Taught = {
      reading: { truth: 'mask', classes },
      target: classOf,
      outputs: classes,
      loss: crossEntropy(classes),
      seed: null,
    };
    const { leftOut, learned, notes } = await probePatches(input, settings, taught, (picture, says) => {
      found.add(picture, says());
    });
    return { figures: { ...found.figures, left_out: leftOut, ...learned }, notes, outcomes: found.outcomes };
  },
};

const classOf: Target = {
  width: 1,
  read(truth, pixel, into, at) {
    into[at] = truth[pixel]!;
    return truth[pixel] !== ignored;
  },
};

const crossEntropy =
  (classes: number): ProbeLoss =>
  (outputs, targets) => {
    const right = tf.oneHot(targets.squeeze([1]).toInt(), classes) as Tensor2D;
    return tf.logSoftmax(outputs).mul(right).sum(1).mean().neg() as Scalar;
  };
