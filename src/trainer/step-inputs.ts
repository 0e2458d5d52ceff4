import type { Batch, BatchSource } from '../data/batches/types.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { hashJson } from '../runtime/hash.ts';
import type { Curated, Curator } from '../train/curate.ts';
import type { Choice } from '../train/curation-figures.ts';
import { drawnFigures } from '../train/drawn-figures.ts';
import type { KeptChoice } from '../train/kept-choice.ts';

export interface StepInput extends Curated {
  /** Milliseconds that the step waited for data, and for the selection; null where nothing is chosen. */
  readonly waited: { readonly data: number; readonly choice: number | null };
}

export interface StepInputsOptions {
  readonly settings: PhaseSettings;
  readonly source: BatchSource;
  /** Of the data that the source reads. */
  readonly fingerprint: string;
  readonly curator: Curator | null;
  /** The choice that a checkpoint holds for the first step that is asked for. */
  readonly kept: KeptChoice | null;
}

/** A super-batch, and what is being chosen of it. */
interface Coming {
  readonly batch: Batch;
  readonly choice: Promise<Choice>;
}

/**
 * What the steps of a phase train on, one after another. Where choices overlap steps, the super-batch of the step after is
 * embedded with the learner as it is before this step, and the selection runs beside it: no more than one super-batch is
 * held for that, and no choice is ever older than one step.
 */
export class StepInputs {
  readonly #options: StepInputsOptions;
  readonly #overlap: boolean;
  /** What says which examples super-batch k has. Where they and their scores lie is no part of it: runs differ in that. */
  readonly #order: Readonly<Record<string, unknown>>;
  #kept: KeptChoice | null;
  #coming: Coming | null = null;

  constructor(options: StepInputsOptions) {
    const { settings, fingerprint, kept } = options;
    const { seed, phase, batch, candidates, offset } = settings.batches;
    this.#options = options;
    this.#overlap = settings.curation?.overlap ?? false;
    this.#order = { fingerprint, seed, phase, batch, candidates, offset };
    this.#kept = kept;
  }

  /** Of the step after the one before, whose state is in the graph. Errors: NonFinite, those of the source. */
  async next(step: number): Promise<StepInput> {
    const { curator } = this.#options;
    const data = new Clock();
    if (!curator) {
      const batch = await this.#batch(data);
      const figures = drawnFigures(batch, batch.tokens.length / this.#options.settings.batches.textLength);
      return { batch, figures, waited: { data: data.ms, choice: null } };
    }
    const choice = new Clock();
    const curated = await this.#curated(curator, step, data, choice);
    if (this.#overlap) this.#coming = this.#choose(curator, step + 1, await this.#batch(data));
    return { ...curated, waited: { data: data.ms, choice: choice.ms } };
  }

  /** The choice that waits for a step, the one after that which was asked for last; null where none does. */
  async waiting(step: number): Promise<KeptChoice | null> {
    if (!this.#coming) return this.#kept;
    const { batch, choice } = this.#coming;
    return { ...(await choice), of: this.#of(step, batch) };
  }

  close(): Promise<void> {
    return this.#options.source.close();
  }

  #batch(clock: Clock): Promise<Batch> {
    return clock.time(this.#options.source.next());
  }

  // A function of its own, so that nothing holds the super-batch when it returns.
  async #curated(curator: Curator, step: number, data: Clock, waits: Clock): Promise<Curated> {
    const { batch, choice } = this.#coming ?? this.#choose(curator, step, await this.#batch(data));
    this.#coming = null;
    return curator.take(await waits.time(choice), batch);
  }

  #choose(curator: Curator, step: number, batch: Batch): Coming {
    const kept = this.#kept?.of === this.#of(step, batch) ? this.#kept : null;
    this.#kept = null;
    const choice = kept ? Promise.resolve(kept) : curator.choose(step, batch);
    // Who asks for it is told; until then nobody has to listen.
    choice.catch(() => {});
    return { batch, choice };
  }

  #of(step: number, batch: Batch): string {
    return hashJson({ ...this.#order, step, k: batch.index });
  }
}

/** How long promises were waited for. */
class Clock {
  ms = 0;

  async time<T>(promise: Promise<T>): Promise<T> {
    const began = performance.now();
    const value = await promise;
    this.ms += performance.now() - began;
    return value;
  }
}
