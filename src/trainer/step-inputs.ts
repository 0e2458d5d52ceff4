import type { BatchRows, BatchSource } from '../data/batches/types.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { hashJson } from '../runtime/hash.ts';
import type { Curated, Curator } from '../train/curate.ts';
import type { Choice } from '../train/curation-figures.ts';
import type { KeptChoice } from '../train/kept-choice.ts';

export interface StepInput extends Curated {
  /** Milliseconds that the step waited for the selection; null where nothing is chosen. */
  readonly waitedForChoice: number | null;
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
  readonly batch: BatchRows;
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

  /** Milliseconds that were waited for data up to now. */
  get waitedForData(): number {
    return this.#options.source.waited;
  }

  /** Of the step after the one before, whose state is in the graph. Errors: NonFinite, those of the source. */
  async next(step: number): Promise<StepInput> {
    const { curator, source } = this.#options;
    if (!curator) return { batch: await source.next(), figures: {}, waitedForChoice: null };
    const { batch, choice } = this.#coming ?? (await this.#choose(curator, step));
    this.#coming = null;
    const began = performance.now();
    const made = await choice;
    const waitedForChoice = performance.now() - began;
    const curated = await curator.take(made, batch);
    if (this.#overlap) this.#coming = await this.#choose(curator, step + 1);
    return { ...curated, waitedForChoice };
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

  /** When this resolves the learner as it is has embedded the super-batch: what goes on is the selection alone. */
  async #choose(curator: Curator, step: number): Promise<Coming> {
    const batch = await this.#options.source.next();
    const kept = this.#kept?.of === this.#of(step, batch) ? this.#kept : null;
    this.#kept = null;
    const choice = kept ? Promise.resolve(kept) : curator.select(await curator.embed(step, batch), batch);
    // Who asks for it is told; until then nobody has to listen.
    choice.catch(() => {});
    return { batch, choice };
  }

  #of(step: number, batch: BatchRows): string {
    return hashJson({ ...this.#order, step, k: batch.index });
  }
}
