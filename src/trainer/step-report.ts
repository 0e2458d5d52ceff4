import type { CheckpointMetrics } from '../checkpoint/types.ts';
import type { Position } from '../recipe/position.ts';
import type { StepMetrics } from '../train/step.ts';
import { Figures } from './figures.ts';
import type { Progress, StepRecord, TrainedState } from './protocol.ts';
import type { Rates } from './rates.ts';

export interface ReportSources {
  readonly rates: Rates;
  /** Whether examples are chosen. */
  readonly chooses: boolean;
  /** Scalars of the model as it is now, such as its temperature. */
  readonly scalars: () => Readonly<Record<string, number>>;
  /** Members of the data that are not used, up to now. */
  readonly skipped: () => number;
  /** Draws of examples that were passed over for their language, up to now. */
  readonly filtered: () => number;
}

/** Steps that a share of clipped ones is of. */
const lastSteps = 100;

type Told = Omit<CheckpointMetrics, 'since'> & Pick<Progress, 'objectives' | 'figures'>;

/** What a shard tells of its steps: for people and plots, no part of the state. */
export class StepReport {
  readonly #sources: ReportSources;
  readonly #figures: Figures;
  #step: StepMetrics | null = null;
  /** Of this step, once it is asked for. */
  #told: Told | null = null;
  #records: StepRecord[] = [];
  #at = performance.now();
  /** What is made at some steps alone, as it was last. */
  #watched: Readonly<Record<string, number>> = {};
  /** Of the last steps of this process, whether their gradients were clipped. */
  readonly #clips: number[] = [];

  constructor(sources: ReportSources, since: TrainedState['since']) {
    this.#sources = sources;
    this.#figures = new Figures(since);
  }

  /** @param watched figures that are made at some steps alone, where this is one */
  stepped(number: number, step: StepMetrics, watched: Readonly<Record<string, number>> | null = null): void {
    this.#step = step;
    this.#told = null;
    this.#watched = watched ?? this.#watched;
    this.#clips.push(step.clipped);
    if (this.#clips.length > lastSteps) this.#clips.shift();
    this.#figures.add(step);
    if (!this.#figures.recorded(number)) return;
    const { objectives, figures, ...rest } = this.#tell();
    this.#records.push({ step: number, time: Date.now(), values: { ...rest, ...objectives, ...figures, ...watched } });
  }

  /** Whether progress was last told so many milliseconds ago. */
  due(interval: number): boolean {
    return performance.now() - this.#at >= interval;
  }

  /** Gives out the records that were made since it was last told. */
  progress(position: Position): Progress {
    this.#at = performance.now();
    const records = this.#records;
    this.#records = [];
    return { ...position, ...this.#now(), records };
  }

  metrics(): CheckpointMetrics {
    const { since } = this.#figures;
    return { ...this.#now(), ...(since && { since }) };
  }

  /** With what a record has not, since a process that was begun anew would have it otherwise. */
  #now(): Told {
    const told = this.#tell();
    const clippedShare = this.#clips.reduce((sum, clip) => sum + clip, 0) / this.#clips.length;
    return { ...told, figures: { ...told.figures, ...this.#watched, clippedShare } };
  }

  #tell(): Told {
    if (this.#told) return this.#told;
    const { rates, chooses, scalars, skipped, filtered } = this.#sources;
    const { loss, objectives, gradientNorm, clipped, learningRate } = this.#step!;
    const { choiceWaitShare, ...rate } = rates.figures;
    const [unused, passed] = [skipped(), filtered()];
    this.#told = {
      loss,
      objectives: {
        ...objectives,
        ...(chooses && { 'curation/waitShare': choiceWaitShare }),
        ...(unused > 0 && { 'data/skipped': unused }),
        ...(passed > 0 && { 'data/filtered': passed }),
      },
      figures: {
        ...{ learningRate, gradientNorm, clipped },
        ...scalars(),
        ...this.#figures.means,
        // Of this process, in bytes.
        'memory/resident': process.memoryUsage.rss(),
        'memory/peak': 1024 * process.resourceUsage().maxRSS,
      },
      ...rate,
    };
    return this.#told;
  }
}
