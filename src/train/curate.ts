import type { Program } from '../compile/program.ts';
import type { Embeddings } from '../curation/pair-scores.ts';
import { openSelector, type Selector } from '../curation/selector.ts';
import type { Batch } from '../data/types.ts';
import { type Embedder, openEmbedder } from '../model/embed.ts';
import { embeddingWidth, fullVocabulary } from '../model/sizes.ts';
import { isRunnerError } from '../runtime/errors.ts';
import { chosenRows, embedCandidates } from './candidates.ts';
import { type Choice, choiceFigures, Extremes } from './curation-figures.ts';
import { diverged } from './divergence.ts';
import type { CurationSettings, PhaseSettings } from './protocol.ts';

/** Arrays of a super-batch that are there for the choice alone. */
const forChoice = ['teacherImages', 'teacherTexts', 'teacherView'];

/** What a step trains on, and what to report of how it was chosen. */
export interface Curated {
  readonly batch: Batch;
  readonly figures: Readonly<Record<string, number>>;
}

/**
 * Chooses from each super-batch what is trained on (ACID: arXiv 2502.14786, 2.5). A choice is a pure function of the
 * state before the step, the super-batch and what the teacher makes of it, so a resume chooses the same.
 */
export class Curator {
  /** The extremes of what was seen, for a sheet. */
  readonly extremes = new Extremes();
  readonly #settings: PhaseSettings;
  readonly #curation: CurationSettings;
  readonly #program: Program;
  readonly #selector: Selector;
  /** Scores beside the learner; absent where its embeddings come with the data. */
  readonly #online: Embedder | null;

  private constructor(settings: PhaseSettings, curation: CurationSettings, program: Program, online: Embedder | null) {
    const { seed, phase, batches } = settings;
    this.#settings = settings;
    this.#curation = curation;
    this.#program = program;
    this.#online = online;
    this.#selector = openSelector({
      candidates: batches.candidates!,
      picks: batches.batch,
      scores: curation.scores,
      joint: curation.joint,
      chunks: curation.chunks,
      learnerWidth: embeddingWidth(settings.model),
      teacherWidth: curation.teacher ? embeddingWidth(curation.teacher.model) : 0,
      seed,
      phase,
    });
  }

  /** @param teacherFolder holds model.safetensors of the teacher, where it scores at every step */
  static async open(
    settings: PhaseSettings,
    program: Program,
    teacherFolder: string | undefined,
  ): Promise<Curator | null> {
    const { curation } = settings;
    if (!curation) return null;
    if (!teacherFolder || !curation.teacher) return new Curator(settings, curation, program, null);
    const ids = settings.batches.vocabulary ?? Array.from({ length: fullVocabulary }, (_, id) => id);
    return new Curator(settings, curation, program, await openEmbedder(teacherFolder, curation.teacher.model, ids));
  }

  async choose(step: number, batch: Batch): Promise<Curated> {
    const { candidates = 0 } = this.#settings.batches;
    const learner = embedCandidates(this.#program, this.#settings, batch);
    const teacher = this.#teacher(batch);
    const inputs = { step, learner, ...(teacher && { teacher }) };
    const { picked, scores } = await this.#selector.select(inputs).catch((error) => {
      if (!isRunnerError(error, 'NonFinite')) throw error;
      // With the batch, so that the phase can leave it out.
      const message = `${error.message}, in batch ${batch.index}; retryPhase with a lower learningRate`;
      throw diverged('scoreNotFinite', step, batch, message, error);
    });
    const choice: Choice = { picks: picked, own: scores };
    this.extremes.add(choice, batch);
    return { batch: chosenRows(batch, picked, candidates, forChoice), figures: choiceFigures(choice, batch) };
  }

  close(): void {
    this.#selector.dispose();
    this.#online?.dispose();
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
