import type { TrainStart } from '../trainer/protocol.ts';

/** Where the time of a new worker went until the end of its first step, in seconds, one after another; `total` is their sum. */
export interface FirstStepSeconds {
  /** From the start of the process until its modules are loaded. */
  readonly load: number;
  /** Until Temporal and its queues are connected. */
  readonly connect: number;
  /** Until it has a shard to train. */
  readonly wait: number;
  /** Until the trainer's process has loaded its libraries. */
  readonly trainer: number;
  /** Until the newest checkpoint is on the disk, and what is left to measurement is measured. */
  readonly fetch: number;
  /** Until the graph of a step is there; it is begun beside the fetch. */
  readonly compile: number;
  /** Until the state is in it. */
  readonly state: number;
  /** The first batch and the first step, which compiles kernels. */
  readonly step: number;
  readonly total: number;
}

/** Measures the start of this worker, once. Times are milliseconds since the process began. */
export class FirstStep {
  readonly #now: () => number;
  readonly #loaded: number;
  #connected: number | null = null;
  #taken: number | null = null;
  #ready: number | null = null;
  #sent: number | null = null;
  #seconds: FirstStepSeconds | null = null;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#loaded = now();
  }

  connected(): void {
    this.#connected ??= this.#now();
  }

  /** A shard that is to be trained was taken. */
  taken(): void {
    this.#taken ??= this.#now();
  }

  /** The trainer is there. */
  ready(): void {
    this.#ready ??= this.#now();
  }

  /** The trainer gets its job. */
  sent(): void {
    if (this.#seconds === null) this.#sent = this.#now();
  }

  /** The first step of a job is done. Returns where the time went for the first job of all; null for those after it. */
  stepped({ compile, state, step }: TrainStart): FirstStepSeconds | null {
    if (this.#seconds !== null) return null;
    const end = this.#now();
    const began = Math.max(0, end - compile - state - step);
    const taken = this.#taken ?? began;
    const ready = this.#ready ?? taken;
    const sent = this.#sent ?? began;
    const connected = this.#connected ?? taken;
    const ms = {
      load: this.#loaded,
      connect: connected - this.#loaded,
      wait: taken - connected,
      trainer: ready - taken,
      fetch: sent - ready,
      compile: Math.max(0, began - sent) + compile,
      state,
      step,
      total: end,
    };
    this.#seconds = inSeconds(ms);
    return this.#seconds;
  }
}

/** Milliseconds by part as seconds with three digits, as a log shows them. */
export const inSeconds = <Part extends string>(ms: Readonly<Record<Part, number>>): Record<Part, number> =>
  Object.fromEntries(Object.entries<number>(ms).map(([part, value]) => [part, Math.round(value) / 1000])) as Record<
    Part,
    number
  >;
