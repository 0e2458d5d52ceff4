import { softplus } from '../runtime/softplus.ts';

/** What one model makes of B candidates, and with which temperature and bias. */
export interface Embeddings {
  /** (B, E), rows of length one. */
  readonly images: Float32Array;
  /** (B, E), rows of length one. */
  readonly texts: Float32Array;
  /** As in a checkpoint: its exponential is the temperature. */
  readonly logitScale: number;
  readonly logitBias: number;
}

/** Which examples are worth learning from (arXiv 2406.17711, with its names). */
export type ScoreKind = 'learnability' | 'easyReference' | 'hardLearner';
export type ScoringModel = 'learner' | 'teacher';

/**
 * With l_ij = softplus(-y_ij (t z_i . z_j + b)), y = 1 on the diagonal and -1 off it, the sigmoid loss of a batch is
 * the sum of l_ij over its pairs. Scores are such sums as well: of the learner's loss minus the teacher's, of the
 * loss of one alone. These are the signs.
 */
const signs: Readonly<Record<ScoreKind, Readonly<Partial<Record<ScoringModel, 1 | -1>>>>> = {
  learnability: { learner: 1, teacher: -1 },
  easyReference: { teacher: -1 },
  hardLearner: { learner: 1 },
};

/** The models that a kind of score looks at, each with its sign. */
export const modelsOf = (kind: ScoreKind) => Object.entries(signs[kind]) as [ScoringModel, 1 | -1][];

/** Embeddings by model: those that the scores look at must be there. */
export type ScoredBy = Readonly<Partial<Record<ScoringModel, Embeddings>>>;

/** s_ii of each of B candidates: what it is worth by itself, summed in double precision. */
export function ownScores(kind: ScoreKind, candidates: number, models: ScoredBy): Float64Array {
  const scores = new Float64Array(candidates);
  for (const [model, sign] of modelsOf(kind)) {
    const { images, texts, logitScale, logitBias } = models[model]!;
    const width = images.length / candidates;
    const temperature = Math.exp(logitScale);
    for (let i = 0; i < candidates; i++) {
      let cosine = 0;
      for (let k = i * width; k < (i + 1) * width; k++) cosine += images[k]! * texts[k]!;
      scores[i]! += sign * softplus(-(temperature * cosine + logitBias));
    }
  }
  return scores;
}
