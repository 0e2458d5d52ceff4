import type { LeftOut } from '../dense/left-out.ts';
import type { Points } from '../dense/points.ts';
import { nothingToLearn } from './probe-data.ts';

interface DenseProbeSettings {
  readonly points: number;
  readonly l2: number;
  readonly iterations: number;
}

/** What figures of a probe of patches depend on, for the fingerprint. */
export const probeProtocol = ({ points, l2, iterations }: DenseProbeSettings, seed: number) => ({
  features: 'patch with the pooled feature beside it, by mean and deviation of the places learned from',
  probe: `linear, l2 ${l2}, at most ${iterations} steps of L-BFGS`,
  points: `at most ${points} places of a picture, at most 1 GiB of them`,
  seed,
});

/** Sentences on what was learned from. DataContract, where that is nothing. */
export function probeNotes(points: Points, settings: DenseProbeSettings, leftOut: LeftOut): string[] {
  if (points.of.length === 0) throw nothingToLearn(leftOut.notes().join(' '));
  const fewer =
    points.perPicture < settings.points
      ? [`train: ${points.perPicture} places of a picture, since ${settings.points} of each would take more than 1 GiB`]
      : [];
  return [...leftOut.notes('train: '), ...fewer];
}
