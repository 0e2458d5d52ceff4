import type { Program } from '../compile/program.ts';
import type { Embeddings } from '../curation/pair-scores.ts';
import { openSelector, type SelectorSettings } from '../curation/selector.ts';
import { openSelectorThread, type SelectorThread } from '../curation/selector-thread.ts';
import type { Batch } from '../data/batches/types.ts';
import { type Embedder, openEmbedder } from '../model/embed.ts';
import { embeddingWidth, fullVocabulary } from '../model/sizes.ts';
import type { CurationSettings, PhaseSettings } from '../recipe/phase-settings.ts';
import { isRunnerError } from '../runtime/errors.ts';
import { chosenRows, embedCandidates } from './candidates.ts';
import { type Choice, choiceFigures, Extremes } from './curation-figures.ts';
import { diverged } from './divergence.ts';

/** Arrays of a super-batch that are there for the choice alone. */
const forChoice = ['teacherImages', 'teacherTexts', 'teacherView'];

/** What a step trains on, and what to report of how it was chosen. */
export interface Curated {
  readonly batch: Batch;
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

  /**
   * Chooses from the super-batch of a step. Before this returns, the learner as it then is has embedded it, and the teacher:
   * what is awaited is the selection alone. With `overlap` that goes on beside whatever follows, and takes the stored
   * scores of the batch with it. Errors: NonFinite.
   */
  async choose(step: number, batch: Batch): Promise<Choice> {
    const learner = embedCandidates(this.#program, this.#settings, batch);
    const teacher = this.#teacher(batch);
    const inputs = { step, learner, ...(teacher && { teacher }) };
    const { picked, scores } = await this.#selector.select(inputs).catch((error) => {
      if (!isRunnerError(error, 'NonFinite')) throw error;
      // With the batch, so that the phase can leave it out.
      const message = `${error.message}, in batch ${batch.index}; retryPhase with a lower learningRate`;
      throw diverged('scoreNotFinite', step, batch, message, error);
    });
    return { picks: picked, own: scores };
  }

  /** What was chosen of a super-batch. */
  take(choice: Choice, batch: Batch): Curated {
    const { candidates = 0 } = this.#settings.batches;
    this.extremes.add(choice, batch);
    return { batch: chosenRows(batch, choice.picks, candidates, forChoice), figures: choiceFigures(choice, batch) };
  }

  async close(): Promise<void> {
    this.#online?.dispose();
    await this.#selector.close();
  }

  #teacher(batch: Batch): Embeddings | null {
    const { teacher } = this.#curation;
    if (!teacher) return null;
    const { logitScale, logitBias } = teacher;
    if (!this.#online) {
      const { teacherImages, teacherTexts } = batch.parts as Readonly<Record<string, Float32Array>>;
      return { images: teacherImages!, texts: teacherTexts!, logitScale, logitBias };
    }
    const { vocabulary } = this.#settings.batches;
    const tokens = vocabulary ? batch.tokens.map((row) => vocabulary[row]!) : batch.tokens;
    const pixels = (batch.parts.teacherView as Uint8Array | undefined) ?? batch.images;
    return { images: this.#online.images(pixels), texts: this.#online.texts(tokens), logitScale, logitBias };
  }
}

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
