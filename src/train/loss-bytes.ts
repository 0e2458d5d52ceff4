import { embeddingWidth } from '../model/sizes.ts';
import { sigmoidSide } from '../objectives/sigmoid.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { bankRows } from '../recipe/text-bank.ts';
import { lossChunks } from './chunks.ts';
import { headsOf } from './passes.ts';

/** What the losses hold beyond the activations of the towers, at the peak of each. */
export interface LossBytes {
  /** The b x b part: logits of some images with as many texts, and arrays as large as the embeddings of the batch. */
  readonly contrast: number;
  /** Logits over prototypes, of some images, and what the heads work with. */
  readonly heads: number;
  /** Logits over the vocabulary, of some rows. */
  readonly vocabulary: number;
}

/** Float32 arrays of a chunk of cosines that exist at once, and of the embeddings of a batch. Measured. */
const cosineArrays = 4;
/** With pairs that are no negatives: which they are, by each number that they may share, and as factors. */
const kinArrays = 2;
const embeddingArrays = 10;
/** With a bank: images and texts of length one, and the gradient of the images. */
const bankArrays = 3;
/** Of the logits over prototypes, of a row of the student and of the teacher; and of the hidden layers. */
const prototypeArrays = { student: 3, teacher: 2 } as const;
const hiddenArrays = { student: 8, teacher: 4 } as const;
/** Themselves, their softmax and its gradient; and of the table of words its gradient by a chunk, and the sum so far. */
const wordArrays = { logits: 3, table: 2 } as const;

/** Of a step of `count` examples. */
export function lossBytes(settings: PhaseSettings, count: number): LossBytes {
  const { accumulate, model, objectives } = settings;
  const micro = count / accumulate;
  const at = new Map(lossChunks(settings, count).map(({ loss, atATime }) => [loss, atATime]));
  const images = at.get('sigmoid');
  // Tiles of a bank come after those of the batch.
  const own = (cosineArrays + (objectives.sigmoid?.kin ? kinArrays : 0)) * (images ?? 0) ** 2;
  const bank = at.has('bank') ? cosineArrays * at.get('bank')! * Math.min(bankRows, sigmoidSide(count)) : 0;
  const arrays = embeddingArrays + (bank > 0 ? bankArrays : 0);
  const contrast = images === undefined ? 0 : 4 * (Math.max(own, bank) + arrays * count * embeddingWidth(model));
  const rows = at.get('captioning');
  const vocabulary =
    rows === undefined
      ? 0
      : 4 * model.text.vocabulary * (wordArrays.logits * rows + wordArrays.table * model.text.width);
  const heads = headsOf(settings).map(({ name, size, student, teacher }) => {
    const { hidden, bottleneck, prototypes } = size;
    const { width } = model.vision;
    const logits = (student * prototypeArrays.student + teacher * prototypeArrays.teacher) * prototypes;
    const layers = (student * hiddenArrays.student + teacher * hiddenArrays.teacher) * hidden;
    const features = micro * (3 * student + teacher) * width;
    // Prototypes of length one, of teacher and student, and the sum of the gradients so far.
    const weights = 3 * (hidden * (width + hidden + bottleneck) + bottleneck * prototypes);
    return 4 * (at.get(name)! * (logits + layers) + features + weights);
  });
  // One head after the other: their features alone are there at once, which is little.
  return { contrast, vocabulary, heads: Math.max(0, ...heads) };
}
