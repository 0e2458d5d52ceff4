import { chunkSizes } from '../curation/draw.ts';
import { scoreBytes } from '../data/index/score-index.ts';
import { embedFlops, selectionFlops } from '../model/flops.ts';
import { embeddingWidth } from '../model/sizes.ts';
import { superBatch } from '../recipe/curation.ts';
import { epochOf } from '../recipe/durations.ts';
import type { Phase, Recipe } from '../recipe/schema.ts';
import { type DataFacts, dataOf, modelConfig, vocabularyOf, writtenModel } from '../recipe/settings.ts';

/** What active curation takes beside training. */
export interface CurationEstimate {
  /** Candidates that are looked at for each example that is trained on. */
  readonly candidatesPerExample: number;
  /** The learner's forward passes over the candidates, and the selections, of the whole phase. */
  readonly choosingFlops: number;
  /** The teacher's forward passes; null while its model, or the data, is not known. */
  readonly scoringFlops: number | null;
  /** Embeddings in the bucket; 0 where none are stored. */
  readonly storedBytes: number | null;
}

/** @param examples that the phase trains on */
export function curationEstimate(
  recipe: Recipe,
  phase: Phase,
  facts: DataFacts | null,
  examples: number,
): CurationEstimate | null {
  const { curation, batch } = phase;
  if (!curation) return null;
  const { teacher, scores, scoring, joint, chunks, dtype } = curation;
  const vocabulary = (of: Phase | undefined) => vocabularyOf(recipe, of, facts ?? { vocabulary: null });
  const model = modelConfig(recipe, vocabulary(phase), phase);
  const candidates = superBatch(curation, batch);
  const ratio = candidates / batch;
  const chunked = joint ? selectionFlops(candidates, chunkSizes(batch, chunks), embeddingWidth(model)) : 0;
  const choosingFlops = examples * (ratio * embedFlops(model, 1) + chunked / batch);
  const common = { candidatesPerExample: ratio, choosingFlops };
  if (scores === 'hardLearner') return { ...common, scoringFlops: 0, storedBytes: 0 };
  const own = recipe.phases.find(({ name }) => name === teacher);
  const large = own && writtenModel(recipe, own) && modelConfig(recipe, vocabulary(own), own);
  if (scoring === 'online')
    return { ...common, scoringFlops: large ? examples * ratio * embedFlops(large, 1) : null, storedBytes: 0 };
  const whole = facts && epochOf(facts, phase);
  if (!whole || !large) return { ...common, scoringFlops: null, storedBytes: null };
  const languages = dataOf(recipe, phase).captions.length;
  return {
    ...common,
    scoringFlops: whole * embedFlops(large, 1, languages),
    storedBytes: whole * (1 + languages) * embeddingWidth(large) * scoreBytes[dtype],
  };
}
