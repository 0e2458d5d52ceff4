import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import type { z } from 'zod';
import { eigenCrop } from '../../data/example/pixel-values.ts';
import { depth as depthMetric } from '../../metrics/depth.ts';
import { resizeGrid } from '../../metrics/grid.ts';
import { tf } from '../../runtime/tensorflow.ts';
import type { DensePicture } from '../dense/pictures.ts';
import type { Target } from '../dense/points.ts';
import type { ProbeLoss } from '../dense/probe.ts';
import { Tallied } from '../dense/tallied.ts';
import type { Evaluator } from './contract.ts';
import { probePatches, probeProtocol, type Taught } from './dense-probe.ts';
import type { depthSettings } from './dense-settings.ts';

type Settings = z.infer<typeof depthSettings>;
type Range = Pick<Settings, 'bins' | 'least' | 'most'>;

/** How much finer than patches depth is told, before it is brought to the size of the truth (DINOv2's `upsample`). */
const upsampled = 4;
/** What each bin has beyond its score, and what logarithms are kept from 0 by (DINOv2 `decode_head.py`, `sigloss.py`). */
const [beyond, above] = [0.1, 1e-3];
const ofMean = 0.85;
const known = (metres: number, { least, most }: Range) => metres >= least && metres <= most;

/**
 * A linear probe of patches and the pooled feature for depth as DINOv2 and TIPS have it: scores of bins at even distances,
 * max(0, score) + 0.1 by their sum, and the mean distance by them; features are upsampled four times. It is learned by the
 * scale-invariant loss of Eigen (without DINOv2's loss of gradients, which needs neighbours).
 */
export const depth: Evaluator<Settings> = {
  needs: () => ({ train: true, patches: true, depth: true }),
  protocol: (settings, seed) => ({
    ...probeProtocol(settings, seed),
    bins: `${settings.bins} from ${settings.least} to ${settings.most} m, even`,
    loss: `scale-invariant, ${ofMean}, in batches of 8192 places`,
    resolution: `${upsampled} times the patches, then own size of the truth, bilinear`,
    crop: settings.crop,
    average: settings.average,
  }),
  async evaluate(input, settings) {
    const { least, most, average } = settings;
    const tallied = new Tallied(depthMetric({ least, most, average }));
    const taught: Taught = {
      reading: { truth: 'depth' },
      target: metresOf(settings),
      outputs: settings.bins,
      loss: scaleInvariant(settings),
      seed: input.seed,
    };
    const { leftOut, learned, notes } = await probePatches(input, settings, taught, (picture, says, skipped) => {
      const { number, name, size } = picture;
      const truth = cropped(picture, settings.crop);
      if (truth !== null) tallied.add(number, { name, predicted: depthOf(says(), picture, settings), truth });
      else skipped.add(name, `depth: Eigen's crop is of 640 x 480 pixels, and it has ${size.width} x ${size.height}`);
    });
    return {
      figures: { examples: tallied.each.length, left_out: leftOut, ...tallied.figures, ...learned },
      notes,
      outcomes: average === 'image' ? tallied.outcomes : {},
    };
  },
};

const metresOf = (range: Range): Target => ({
  width: 1,
  read(truth, pixel, into, at) {
    into[at] = truth[pixel]! / 1000;
    return known(truth[pixel]! / 1000, range);
  },
});

const binsOf = ({ bins, least, most }: Range) =>
  Float32Array.from({ length: bins }, (_, i) => least + (i * (most - least)) / (bins - 1));

function scaleInvariant(range: Range): ProbeLoss {
  const bins = binsOf(range);
  return (outputs, targets) => {
    const weights = tf.relu(outputs).add(beyond) as Tensor2D;
    const metres = tf.matMul(weights, tf.tensor2d(bins, [bins.length, 1])).div(weights.sum(1, true));
    const off = metres.add(above).log().sub(targets.add(above).log());
    const spread = off.square().mean().sub(off.mean().square().mul(ofMean));
    // A root has no slope at 0, where all is right.
    return spread.add(1e-6).sqrt() as Scalar;
  };
}

/** Metres of each pixel of the truth, from scores of bins of each patch. */
function depthOf(scores: Float32Array, { grid, size, cover }: DensePicture, range: Range): Float32Array {
  const { bins } = range;
  const fine = { height: upsampled * grid.height, width: upsampled * grid.width };
  const all = resizeGrid(scores, grid, bins, fine);
  const distances = binsOf(range);
  const metres = new Float32Array(fine.height * fine.width);
  for (let place = 0; place < metres.length; place++) {
    let [sum, total] = [0, 0];
    for (let k = 0; k < bins; k++) {
      const weight = Math.max(0, all[place * bins + k]!) + beyond;
      total += weight;
      sum += weight * distances[k]!;
    }
    metres[place] = sum / total;
  }
  return resizeGrid(metres, fine, 1, size, cover);
}

/** Metres of the pixels that count; 0 is not known. Null where a crop is asked for that the picture is not of. */
function cropped({ truth, size }: DensePicture, crop: Settings['crop']): Float32Array | null {
  if (crop === 'eigen' && (size.width !== eigenCrop.width || size.height !== eigenCrop.height)) return null;
  return Float32Array.from(truth, (millimetres, pixel) => {
    const [y, x] = [Math.floor(pixel / size.width), pixel % size.width];
    return crop === 'eigen' && !eigenCrop.holds(x, y) ? 0 : millimetres / 1000;
  });
}
