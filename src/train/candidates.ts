import type { Values } from '../compile/definition.ts';
import type { Program } from '../compile/program.ts';
import type { Embeddings } from '../curation/pair-scores.ts';
import type { Arrays, BatchRows } from '../data/batches/types.ts';
import { embeddingWidth } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';

/**
 * The super-batch as the learner sees it now. It goes through the compiled forward pass in pieces of a micro-batch, as
 * they are made, so that it takes no more memory than training does; the last piece reaches back over rows of the one before.
 */
export async function embedCandidates(
  program: Program,
  settings: PhaseSettings,
  batch: BatchRows,
): Promise<Embeddings> {
  const { candidates = 0, batch: trained } = settings.batches;
  const count = trained / settings.accumulate;
  const width = embeddingWidth(settings.model);
  const images = new Float32Array(candidates * width);
  const texts = new Float32Array(candidates * width);
  let head: Values = {};
  for (let first = 0; first < candidates; first += count) {
    const from = Math.min(first, candidates - count);
    head = program.run('candidates', await batch.rows(from, count, { names: ['images', 'tokens'] }));
    images.set(head.images!, from * width);
    texts.set(head.texts!, from * width);
  }
  return { images, texts, logitScale: head.logitScale![0]!, logitBias: head.logitBias![0]! };
}

/** Rows of a super-batch that are shown to a teacher at once: whole batches of its embedder. */
const shownAtOnce = 1024;

/** Arrays of a super-batch that are there for the choice alone. */
export const forChoice = ['teacherImages', 'teacherTexts', 'teacherView'];

/**
 * What a teacher makes of a super-batch, some rows at a time: `embed` gives (rows, E) of images and of texts for the
 * arrays of some rows.
 */
export async function taughtCandidates(
  batch: BatchRows,
  width: number,
  embed: (arrays: Arrays) => Pick<Embeddings, 'images' | 'texts'>,
): Promise<Pick<Embeddings, 'images' | 'texts'>> {
  const images = new Float32Array(batch.count * width);
  const texts = new Float32Array(batch.count * width);
  for (let first = 0; first < batch.count; first += shownAtOnce) {
    const count = Math.min(shownAtOnce, batch.count - first);
    const rows = embed(await batch.rows(first, count, { names: ['images', 'tokens', ...forChoice] }));
    images.set(rows.images, first * width);
    texts.set(rows.texts, first * width);
  }
  return { images, texts };
}
