import type { Tensor2D } from '@tensorflow/tfjs';
import type { z } from 'zod';
import { resizeGrid } from '../../metrics/grid.ts';
import { normals as normalsMetric } from '../../metrics/normals.ts';
import { LeftOut } from '../dense/left-out.ts';
import { type DensePicture, densePictures } from '../dense/pictures.ts';
import { drawPoints, type Target } from '../dense/points.ts';
import { learnProbe, type ProbeLoss, ProbeOnPictures } from '../dense/probe.ts';
import { Tallied } from '../dense/tallied.ts';
import type { Evaluator } from './contract.ts';
import { probeNotes, probeProtocol } from './dense-probe.ts';
import type { normalsSettings } from './dense-settings.ts';

type Settings = z.infer<typeof normalsSettings>;

/** Cosines that angles are taken of: beyond, an arc has no slope (Probe3D `losses.py`). */
const largestCosine = 1 - 1e-4;

/**
 * A linear probe of patches and the pooled feature for the direction of the surface, learned by the angle as Probe3D's is
 * (`angular_loss`, without its uncertainty); directions are upsampled bilinearly to the truth.
 */
export const normals: Evaluator<Settings> = {
  needs: () => ({ train: true, patches: true, normals: true }),
  protocol: (settings, seed) => ({
    ...probeProtocol(settings, seed),
    loss: 'angle',
    resolution: 'own size of the truth, directions brought to it bilinearly',
    average: settings.average,
  }),
  async evaluate({ test, train, view, seed, pause }, settings) {
    const reading = { view, features: 'patches', truth: 'normals' } as const;
    const [ofTrain, ofTest] = [new LeftOut(), new LeftOut()];
    const points = await drawPoints(
      train!,
      reading,
      { target: directionOf, points: settings.points, seed, leftOut: ofTrain },
      pause,
    );
    const notes = probeNotes(points, settings, ofTrain);
    const { probe, minimum } = await learnProbe(points, { outputs: 3, loss: angle, ...settings, seed }, pause);
    const on = new ProbeOnPictures(probe, points.at.width);
    const tallied = new Tallied(normalsMetric({ average: settings.average }));
    try {
      for await (const picture of densePictures(test, reading, ofTest)) {
        const { number, name, grid, size, cover } = picture;
        const predicted = resizeGrid(on.of(picture), grid, 3, size, cover);
        tallied.add(number, { name, predicted, truth: directions(picture) });
        await pause();
      }
    } finally {
      on.dispose();
    }
    return {
      figures: {
        examples: tallied.each.length,
        left_out: ofTest.pictures,
        ...tallied.figures,
        points: points.of.length,
        train_loss: minimum.value,
        steps: minimum.iterations,
      },
      notes: [...notes, ...ofTest.notes()],
      outcomes: settings.average === 'image' ? tallied.outcomes : {},
    };
  },
};

const directionOf: Target = {
  width: 3,
  read(truth, pixel, into, at) {
    const isKnown = truth[3 * pixel] !== 0 || truth[3 * pixel + 1] !== 0 || truth[3 * pixel + 2] !== 0;
    const [x, y, z] = [0, 1, 2].map((k) => (2 * truth[3 * pixel + k]!) / 255 - 1) as [number, number, number];
    const length = Math.hypot(x, y, z);
    into.set([x / length, y / length, z / length], at);
    return isKnown;
  },
};

/** All of a picture; where nothing is known they are 0. */
function directions({ truth }: DensePicture): Float32Array {
  const found = new Float32Array(truth.length);
  for (let pixel = 0; 3 * pixel < truth.length; pixel++)
    if (!directionOf.read(truth, pixel, found, 3 * pixel)) found.fill(0, 3 * pixel, 3 * pixel + 3);
  return found;
}

const angle: ProbeLoss = (outputs, targets) => {
  const lengths = outputs.square().sum(1).add(1e-12).sqrt();
  const cosines = (outputs.mul(targets) as Tensor2D).sum(1).div(lengths);
  return cosines.clipByValue(-largestCosine, largestCosine).acos().mean();
};
