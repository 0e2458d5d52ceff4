import type { Program } from '../compile/program.ts';
import type { Embeddings } from '../curation/pair-scores.ts';
import { openSelector, type SelectionInputs, type SelectorSettings } from '../curation/selector.ts';
import { openSelectorThread, type SelectorThread } from '../curation/selector-thread.ts';
import type { Arrays, BatchRows } from '../data/batches/types.ts';
import { type Embedder, openEmbedder } from '../model/embed.ts';
import { embeddingWidth, fullVocabulary } from '../model/sizes.ts';
import type { CurationSettings, PhaseSettings } from '../recipe/phase-settings.ts';
import { isRunnerError } from '../runtime/errors.ts';
import { embedCandidates, forChoice, taughtCandidates } from './candidates.ts';
import { type Choice, choiceFigures, Extremes } from './curation-figures.ts';
import { diverged } from './divergence.ts';

/** What a step trains on, and what to report of how it was chosen. */
export interface Curated {
  readonly batch: BatchRows;
  readonly figures: Readonly<Record<string, number>>;
}

/**
 * Chooses from each super-batch what is trained on (ACID: arXiv 2502.14786, 2.5). A choice is a pure function of the
 * learner, the super-batch, the step and what the teacher makes of it, so a resume chooses the same.
 */
export class Curator {
  /** The extremes of what was seen, for a sheet. */
  readonly extremes = new Extremes();
  readonly #settings: PhaseSettings;
  readonly #curation: CurationSettings;
  readonly #program: Program;
  readonly #selector: SelectorThread;
  /** Scores beside the learner; absent where its embeddings come with the data. */
  readonly #online: Embedder | null;

  private constructor(
    settings: PhaseSettings,
    curation: CurationSettings,
    program: Program,
    selector: SelectorThread,
    online: Embedder | null,
  ) {
    this.#settings = settings;
    this.#curation = curation;
    this.#program = program;
    this.#selector = selector;
    this.#online = online;
  }

  /** @param teacherFolder holds model.safetensors of the teacher, where it scores at every step */
  static async open(
    settings: PhaseSettings,
    program: Program,
    teacherFolder: string | undefined,
  ): Promise<Curator | null> {
    const { curation, batches } = settings;
    if (!curation) return null;
    const { teacher, overlap } = curation;
    const ids = () => batches.vocabulary ?? Array.from({ length: fullVocabulary }, (_, id) => id);
    const online = teacherFolder && teacher ? await openEmbedder(teacherFolder, teacher.model, ids()) : null;
    const of = selectorSettings(settings, curation);
    const selector = overlap ? await openSelectorThread(of) : selectorHere(of);
    return new Curator(settings, curation, program, selector, online);
  }

  /** A super-batch as the learner now sees it, and the teacher: what a choice is made from. */
  async embed(step: number, batch: BatchRows): Promise<SelectionInputs> {
    const learner = await embedCandidates(this.#program, this.#settings, batch);
    const teacher = await this.#teacher(batch);
    return { step, learner, ...(teacher && { teacher }) };
  }

  /** Chooses from the super-batch of a step. With `overlap` that goes on beside whatever follows. Errors: NonFinite. */
  async select(inputs: SelectionInputs, { index }: Pick<BatchRows, 'index'>): Promise<Choice> {
    const { picked, scores } = await this.#selector.select(inputs).catch((error) => {
      if (!isRunnerError(error, 'NonFinite')) throw error;
      // With the batch, so that the phase can leave it out.
      const message = `${error.message}, in batch ${index}; retryPhase with a lower learningRate`;
      throw diverged('scoreNotFinite', inputs.step, { index }, message, error);
    });
    return { picks: picked, own: scores };
  }

  /** What was chosen of a super-batch, which is let go. */
  async take(choice: Choice, batch: BatchRows): Promise<Curated> {
    await this.extremes.add(choice, batch);
    const chosen = await batch.picked(choice.picks, forChoice);
    const figures = choiceFigures(choice, await batch.facts());
    batch.close();
    return { batch: chosen, figures };
  }

  async close(): Promise<void> {
    this.#online?.dispose();
    await this.#selector.close();
  }

  async #teacher(batch: BatchRows): Promise<Embeddings | null> {
    const { teacher } = this.#curation;
    if (!teacher) return null;
    const { logitScale, logitBias, model } = teacher;
    const embed = (arrays: Arrays) => (this.#online ? this.#shown(this.#online, arrays) : storedScores(arrays));
    return { ...(await taughtCandidates(batch, embeddingWidth(model), embed)), logitScale, logitBias };
  }

  #shown(teacher: Embedder, { images, tokens, teacherView = images }: Arrays) {
    const { vocabulary } = this.#settings.batches;
    const ids = (vocabulary ? tokens!.map((row) => vocabulary[row]!) : tokens) as Int32Array;
    return { images: teacher.images(teacherView as Uint8Array), texts: teacher.texts(ids) };
  }
}

const storedScores = ({ teacherImages, teacherTexts }: Arrays) => ({
  images: teacherImages as Float32Array,
  texts: teacherTexts as Float32Array,
});

function selectorSettings(
  { model, seed, phase, batches }: PhaseSettings,
  curation: CurationSettings,
): SelectorSettings {
  const { scores, joint, chunks, teacher } = curation;
  return {
    candidates: batches.candidates!,
    picks: batches.batch,
    scores,
    joint,
    chunks,
    learnerWidth: embeddingWidth(model),
    teacherWidth: teacher ? embeddingWidth(teacher.model) : 0,
    seed,
    phase,
  };
}

/** Selects in this thread, one thing after another. */
function selectorHere(settings: SelectorSettings): SelectorThread {
  const { select, dispose } = openSelector(settings);
  return { select, close: async () => dispose() };
}
