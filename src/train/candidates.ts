import type { Values } from '../compile/definition.ts';
import type { Program } from '../compile/program.ts';
import type { Embeddings } from '../curation/pair-scores.ts';
import type { Batch } from '../data/batches/types.ts';
import { embeddingWidth } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';

/**
 * The super-batch as the learner sees it now. It goes through the compiled forward pass in pieces of a micro-batch, so
 * that it takes no more memory than training does; the last piece reaches back over rows of the one before.
 */
export function embedCandidates(program: Program, settings: PhaseSettings, batch: Batch): Embeddings {
  const { candidates = 0, batch: trained, textLength } = settings.batches;
  const count = trained / settings.accumulate;
  const width = embeddingWidth(settings.model);
  const pixels = batch.images.length / candidates;
  const images = new Float32Array(candidates * width);
  const texts = new Float32Array(candidates * width);
  let head: Values = {};
  for (let first = 0; first < candidates; first += count) {
    const from = Math.min(first, candidates - count);
    head = program.run('candidates', {
      images: batch.images.subarray(from * pixels, (from + count) * pixels),
      tokens: batch.tokens.subarray(from * textLength, (from + count) * textLength),
    });
    images.set(head.images!, from * width);
    texts.set(head.texts!, from * width);
  }
  return { images, texts, logitScale: head.logitScale![0]!, logitBias: head.logitBias![0]! };
}

/** The batch of these rows of a super-batch. Arrays named in `drop` were for choosing alone. */
export function chosenRows(batch: Batch, picks: Int32Array, candidates: number, drop: readonly string[]): Batch {
  const rows = <T extends Uint8Array | Int32Array | Float32Array>(all: T): T => {
    const size = all.length / candidates;
    const chosen = new (all.constructor as new (length: number) => T)(picks.length * size);
    for (const [i, row] of picks.entries()) chosen.set(all.subarray(row * size, (row + 1) * size), i * size);
    return chosen;
  };
  const parts = Object.entries(batch.parts).flatMap(([name, all]) => (drop.includes(name) ? [] : [[name, rows(all)]]));
  // What all of a super-batch have alike, the chosen have.
  const { index, skipped, alike } = batch;
  const kept = { index, skipped, ...(alike && { alike }) };
  return { ...kept, images: rows(batch.images), tokens: rows(batch.tokens), parts: Object.fromEntries(parts) };
}
