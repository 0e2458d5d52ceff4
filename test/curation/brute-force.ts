import type { Embeddings, ScoreKind } from '../../src/curation/pair-scores.ts';
import type { SelectorSettings } from '../../src/curation/selector.ts';
import { randomStream } from '../../src/runtime/random.ts';

/** The selection as the papers write it: all B x B scores, in scalar loops and double precision. */

/** l_ij of every image i with every text j, the diagonal with y = 1. */
function losses({ images, texts, logitScale, logitBias }: Embeddings, count: number): number[][] {
  const width = images.length / count;
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: count }, (_, j) => {
      let cosine = 0;
      for (let k = 0; k < width; k++) cosine += images[i * width + k]! * texts[j * width + k]!;
      const logit = Math.exp(logitScale) * cosine + logitBias;
      return Math.log(1 + Math.exp(i === j ? -logit : logit));
    }),
  );
}

/** s_ij: what the pair of image i and text j adds to the score of a batch that holds both. */
export function scoreMatrix(kind: ScoreKind, count: number, learner: Embeddings, teacher: Embeddings): number[][] {
  const [own, reference] = [losses(learner, count), losses(teacher, count)];
  return own.map((row, i) =>
    row.map((loss, j) => {
      if (kind === 'hardLearner') return loss;
      return (kind === 'learnability' ? loss : 0) - reference[i]![j]!;
    }),
  );
}

/** s_jj + sum over the chosen i of s_ij + s_ji. */
export function conditionalScore(s: number[][], chosen: readonly number[], j: number): number {
  let sum = s[j]![j]!;
  for (const i of chosen) sum += s[i]![j]! + s[j]![i]!;
  return sum;
}

/** Picks in ascending order, and what each candidate was worth at its last draw. */
export function bruteForce(settings: SelectorSettings, step: number, learner: Embeddings, teacher: Embeddings) {
  const { candidates, picks, chunks, joint, scores, seed, phase } = settings;
  const s = scoreMatrix(scores, candidates, learner, teacher);
  const chosen: number[] = [];
  const conditional: number[] = [];
  for (let chunk = 0; chosen.length < picks; chunk++) {
    const random = randomStream(seed, `curation/${phase}`, step, chunk);
    const noise = Array.from({ length: candidates }, () => -Math.log(-Math.log(random.next() + 2 ** -33)));
    const before = [...chosen];
    const worth = (j: number) => conditionalScore(s, before, j);
    for (let j = 0; j < candidates; j++) if (!before.includes(j)) conditional[j] = worth(j);
    // The first chunks take what does not divide.
    const until = joint ? before.length + Math.ceil((picks - before.length) / (chunks - chunk)) : picks;
    while (chosen.length < until) {
      let best = -1;
      for (let j = 0; j < candidates; j++) {
        if (chosen.includes(j)) continue;
        if (best < 0 || worth(j) + noise[j]! > worth(best) + noise[best]!) best = j;
      }
      chosen.push(best);
    }
  }
  return { picked: chosen.sort((a, b) => a - b), scores: s.map((row, i) => row[i]!), conditional };
}
