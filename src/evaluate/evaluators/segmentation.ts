import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import type { z } from 'zod';
import { ignored } from '../../data/example/pixel-values.ts';
import { tf } from '../../runtime/tensorflow.ts';
import { LeftOut } from '../dense/left-out.ts';
import { MaskFigures, maskResolution } from '../dense/mask-figures.ts';
import { classesIn, densePictures } from '../dense/pictures.ts';
import { drawPoints, type Target } from '../dense/points.ts';
import { learnProbe, type ProbeLoss, ProbeOnPictures } from '../dense/probe.ts';
import type { Evaluator } from './contract.ts';
import { probeNotes, probeProtocol } from './dense-probe.ts';
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
  async evaluate({ test, train, view, seed, pause }, settings) {
    const classes = settings.classes ?? (await classesIn([train!, test], pause));
    const reading = { view, features: 'patches', truth: 'mask', classes } as const;
    const [ofTrain, ofTest] = [new LeftOut(), new LeftOut()];
    const points = await drawPoints(
      train!,
      reading,
      { target: classOf, points: settings.points, seed, leftOut: ofTrain },
      pause,
    );
    const notes = probeNotes(points, settings, ofTrain);
    const { probe, minimum } = await learnProbe(
      points,
      { outputs: classes, loss: crossEntropy(classes), ...settings, seed: null },
      pause,
    );
    const on = new ProbeOnPictures(probe, points.at.width);
    const found = new MaskFigures(classes);
    try {
      for await (const picture of densePictures(test, reading, ofTest)) {
        found.add(picture, on.of(picture));
        await pause();
      }
    } finally {
      on.dispose();
    }
    return {
      figures: {
        ...found.figures,
        left_out: ofTest.pictures,
        points: points.of.length,
        train_loss: minimum.value,
        steps: minimum.iterations,
      },
      notes: [...notes, ...ofTest.notes()],
      outcomes: found.outcomes,
    };
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
