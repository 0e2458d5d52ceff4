import { RunnerError } from '../runtime/errors.ts';
import { randomStream } from '../runtime/random.ts';
import { openConditionalSums, type SumsOptions } from './conditional-sums.ts';
import { chunkSizes, drawWithoutReplacement } from './draw.ts';
import { modelsOf, ownScores, type ScoredBy, type ScoreKind } from './pair-scores.ts';

export interface SelectorSettings {
  /** B, the size of the super-batch. */
  readonly candidates: number;
  /** b, how many are chosen to be trained on. */
  readonly picks: number;
  readonly scores: ScoreKind;
  /** True: b are drawn in chunks, each given those before it. False: all at once, each by its own score. */
  readonly joint: boolean;
  /** Draws of a joint selection: 16 in the papers. */
  readonly chunks: number;
  /** Columns of the embeddings; the two may differ. */
  readonly learnerWidth: number;
  readonly teacherWidth: number;
  /** What is drawn is a pure function of (seed, phase, step, chunk) and of the embeddings. */
  readonly seed: number;
  readonly phase: string;
}

export interface SelectionInputs extends ScoredBy {
  readonly step: number;
}

export interface Selection {
  /** (b) candidates, ascending. */
  readonly picked: Int32Array;
  /** (B) s_ii of every candidate. */
  readonly scores: Float32Array;
  /** (B) the score of each, given those chosen before, at the last draw that it took part in. */
  readonly conditional: Float32Array;
}

export interface Selector {
  /**
   * Chooses from the embeddings of the models that the scores look at. They are read where they are, not copied, and
   * must stay as they are until it has ended; one call at a time. Errors: NonFinite, RecipeInvalid.
   */
  select(inputs: SelectionInputs): Promise<Selection>;
  dispose(): void;
}

/** Compiles a selection, to be used for every step (ACID: arXiv 2411.18674, with the sampling of JEST, 2406.17711). */
export function openSelector(settings: SelectorSettings, options: SumsOptions = {}): Selector {
  const { candidates, picks, scores: kind, joint, chunks, learnerWidth, teacherWidth, seed, phase } = settings;
  requireSizes(settings);
  const sizes = joint ? chunkSizes(picks, chunks) : [picks];
  const widths = { learner: learnerWidth, teacher: teacherWidth };
  const sums =
    sizes.length > 1 ? openConditionalSums({ candidates, scores: kind, widths, chunk: sizes[0]! }, options) : null;
  return {
    async select({ step, ...models }) {
      requireShapes(settings, models);
      const logits = ownScores(kind, candidates, models);
      const scores = Float32Array.from(logits);
      const conditional = new Float32Array(candidates);
      const picked = new Int32Array(picks);
      let open: Int32Array = Int32Array.from(logits.keys());
      for (const [chunk, size] of sizes.entries()) {
        for (const candidate of open) conditional[candidate] = finite(logits[candidate]!, step);
        const { drawn, rest } = drawWithoutReplacement(
          logits,
          open,
          size,
          randomStream(seed, `curation/${phase}`, step, chunk),
        );
        picked.set(drawn, candidates - open.length);
        open = rest;
        // What the last chunk changes nobody asks for.
        if (chunk + 1 < sizes.length) await sums?.add(logits, drawn, open, models);
      }
      return { picked: picked.sort(), scores, conditional };
    },
    dispose: () => sums?.dispose(),
  };
}

function requireSizes({ candidates, picks, joint, chunks }: SelectorSettings): void {
  if (!(Number.isInteger(picks) && picks >= 1 && picks <= candidates)) {
    throw new RunnerError('RecipeInvalid', `${picks} of ${candidates} candidates can't be chosen; allowed: 1 to all`);
  }
  if (joint && !(Number.isInteger(chunks) && chunks >= 1 && chunks <= picks)) {
    throw new RunnerError(
      'RecipeInvalid',
      `${picks} can't be chosen in ${chunks} chunks; allowed: 1 to ${picks} chunks`,
    );
  }
}

function requireShapes({ candidates, scores, ...widths }: SelectorSettings, models: ScoredBy): void {
  for (const [model] of modelsOf(scores)) {
    for (const side of ['images', 'texts'] as const) {
      const [got, width] = [models[model]?.[side].length, widths[`${model}Width`]];
      if (got === candidates * width) continue;
      throw new RunnerError(
        'RecipeInvalid',
        `${scores} needs ${side} of the ${model} as ${candidates} rows of ${width}, but got ${got ?? 'none'} numbers`,
      );
    }
  }
}

function finite(logit: number, step: number): number {
  if (Number.isFinite(logit)) return logit;
  throw new RunnerError('NonFinite', `a score of step ${step} is ${logit}: an embedding is no number`, {
    details: { step },
  });
}
