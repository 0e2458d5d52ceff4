import type { Tensor2D } from '@tensorflow/tfjs';
import type { z } from 'zod';
import { resizeGrid } from '../../metrics/grid.ts';
import { normals as normalsMetric } from '../../metrics/normals.ts';
import type { DensePicture } from '../dense/pictures.ts';
import type { Target } from '../dense/points.ts';
import type { ProbeLoss } from '../dense/probe.ts';
import { Tallied } from '../dense/tallied.ts';
import type { Evaluator } from './contract.ts';
import { probePatches, probeProtocol, type Taught } from './dense-probe.ts';
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
  async evaluate(input, settings) {
    const tallied = new Tallied(normalsMetric({ average: settings.average }));
    const taught: Taught = {
      reading: { truth: 'normals' },
      target: directionOf,
      outputs: 3,
      loss: angle,
      seed: input.seed,
    };
    const { leftOut, learned, notes } = await probePatches(input, settings, taught, (picture, says) => {
      const { number, name, grid, size, cover } = picture;
      const predicted = resizeGrid(says(), grid, 3, size, cover);
      tallied.add(number, { name, predicted, truth: directions(picture) });
    });
    return {
      figures: { examples: tallied.each.length, left_out: leftOut, ...tallied.figures, ...learned },
      notes,
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
