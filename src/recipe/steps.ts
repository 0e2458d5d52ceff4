import { randomStream } from '../runtime/random.ts';

/** Batches of images of any shape: the paper's lengths are 128, 256, 576, 784 and 1024 patches. */
export interface NaflexBatches {
  /** Each batch is padded to one of these lengths in patches, drawn evenly. */
  readonly lengths: readonly number[];
  /** A batch of at least this length is trained on in two steps of half of it, for the memory. */
  readonly halveFrom: number;
}

/** The examples that one step is made from. */
export interface StepExamples {
  /** Number of the first one in the order of the phase. */
  readonly first: number;
  readonly count: number;
  /** Patches of an image; null for images of one size. */
  readonly length: number | null;
}

/**
 * Which batch of a phase stands at a position, when some were left out for good: the later ones move up. `skip` ascends.
 */
export function batchAt(position: number, skip: readonly number[]): number {
  return skip.reduce((index, left) => (left <= index ? index + 1 : index), position);
}

export interface StepSettings {
  readonly seed: number;
  readonly phase: string;
  readonly batch: number;
  /** Examples of the super-batch that the batch is chosen from; absent: the batch is taken as it comes. */
  readonly candidates?: number | undefined;
  readonly naflex?: NaflexBatches | undefined;
  /** Examples of the order that the phase took in batches of another size. */
  readonly offset?: number | undefined;
}

/** Which examples each step of a phase is made from: a pure function of (seed, phase, step). Steps count from 0. */
export class PhaseSteps {
  readonly #settings: StepSettings;
  /** The first step of each batch so far; batches of NaFlex have one step or two. */
  readonly #firstSteps = [0];

  constructor(settings: StepSettings) {
    this.#settings = settings;
  }

  at(step: number): StepExamples {
    const { batch, candidates = batch, naflex, offset = 0 } = this.#settings;
    if (naflex === undefined) return { first: offset + step * candidates, count: candidates, length: null };
    const index = this.#batchOf(step);
    const length = this.#lengthOf(index);
    const steps = this.#stepsOf(length);
    const first = index * batch + (step - this.#firstSteps[index]!) * (batch / steps);
    return { first, count: batch / steps, length };
  }

  /** Examples that the phase trained on before a step. */
  seenBefore(step: number): number {
    const { batch, naflex } = this.#settings;
    return naflex === undefined ? step * batch : this.at(step).first;
  }

  /** Steps of the whole batches that fit into so many examples. */
  within(examples: number): number {
    const { batch, naflex } = this.#settings;
    // Lengths of the schedule may be a hair below a whole number after a division.
    const batches = Math.max(0, Math.floor(examples / batch + 1e-9));
    if (naflex === undefined) return batches;
    while (this.#firstSteps.length <= batches) this.#addBatch();
    return this.#firstSteps[batches]!;
  }

  /** The shapes of what steps train on, each once. */
  shapes(): { readonly count: number; readonly length: number | null }[] {
    const { batch, naflex } = this.#settings;
    if (naflex === undefined) return [{ count: batch, length: null }];
    return [...new Set(naflex.lengths)].map((length) => ({ count: batch / this.#stepsOf(length), length }));
  }

  #lengthOf(index: number): number {
    const { seed, phase, naflex } = this.#settings;
    return naflex!.lengths[randomStream(seed, `length/${phase}`, index).below(naflex!.lengths.length)]!;
  }

  #stepsOf(length: number): number {
    return length >= this.#settings.naflex!.halveFrom ? 2 : 1;
  }

  #addBatch(): void {
    const index = this.#firstSteps.length - 1;
    this.#firstSteps.push(this.#firstSteps[index]! + this.#stepsOf(this.#lengthOf(index)));
  }

  /** The last batch whose first step is not after this one. */
  #batchOf(step: number): number {
    while (this.#firstSteps.at(-1)! <= step) this.#addBatch();
    let [low, high] = [0, this.#firstSteps.length - 1];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.#firstSteps[middle]! <= step) low = middle;
      else high = middle;
    }
    return low;
  }
}
