import { LeftOut } from '../dense/left-out.ts';
import { type DensePicture, type DenseReading, densePictures } from '../dense/pictures.ts';
import { drawPoints, type Points, type Target } from '../dense/points.ts';
import { learnProbe, ProbeOnPictures, type ProbeSettings } from '../dense/probe.ts';
import type { EvaluatorInput } from './contract.ts';
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

/** What a probe learns, and by which loss. */
export interface Taught extends Pick<ProbeSettings, 'outputs' | 'loss' | 'seed'> {
  readonly reading: Pick<DenseReading, 'truth' | 'classes'>;
  readonly target: Target;
}

/**
 * Learns a probe of patches from places of `train`, and has it `look` at each picture of the test set: `says` are its numbers of
 * every patch, and what can't be compared is told to `leftOut`. DataContract where there is nothing to learn from.
 */
export async function probePatches(
  { train, test, view, seed, pause }: EvaluatorInput,
  settings: DenseProbeSettings,
  { reading: of, target, ...taught }: Taught,
  look: (picture: DensePicture, says: () => Float32Array, leftOut: LeftOut) => void,
) {
  const reading = { ...of, view, features: 'patches' } as const;
  const [ofTrain, leftOut] = [new LeftOut(), new LeftOut()];
  const drawn = { target, points: settings.points, seed, leftOut: ofTrain };
  const points = await drawPoints(train!, reading, drawn, pause);
  const notes = notesOn(points, settings, ofTrain);
  const { l2, iterations } = settings;
  const { probe, minimum } = await learnProbe(points, { ...taught, l2, iterations }, pause);
  const on = new ProbeOnPictures(probe, points.at.width);
  try {
    for await (const picture of densePictures(test, reading, leftOut)) {
      look(picture, () => on.of(picture), leftOut);
      await pause();
    }
  } finally {
    on.dispose();
  }
  return {
    leftOut: leftOut.pictures,
    learned: { points: points.of.length, train_loss: minimum.value, steps: minimum.iterations },
    notes: [...notes, ...leftOut.notes()],
  };
}

/** Sentences on what was learned from. DataContract, where that is nothing. */
function notesOn(points: Points, settings: DenseProbeSettings, leftOut: LeftOut): string[] {
  if (points.of.length === 0) throw nothingToLearn(leftOut.notes().join(' '));
  const fewer =
    points.perPicture < settings.points
      ? [`train: ${points.perPicture} places of a picture, since ${settings.points} of each would take more than 1 GiB`]
      : [];
  return [...leftOut.notes('train: '), ...fewer];
}
