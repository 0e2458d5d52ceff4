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
}

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

  constructor(sources: ReportSources, since: TrainedState['since']) {
    this.#sources = sources;
    this.#figures = new Figures(since);
  }

  stepped(number: number, step: StepMetrics): void {
    this.#step = step;
    this.#told = null;
    this.#figures.add(step);
    if (!this.#figures.recorded(number)) return;
    const { objectives, figures, ...rest } = this.#tell();
    this.#records.push({ step: number, time: Date.now(), values: { ...rest, ...objectives, ...figures } });
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
    return { ...position, ...this.#tell(), records };
  }

  metrics(): CheckpointMetrics {
    const { since } = this.#figures;
    return { ...this.#tell(), ...(since && { since }) };
  }

  #tell(): Told {
    if (this.#told) return this.#told;
    const { rates, chooses, scalars, skipped } = this.#sources;
    const { loss, objectives, gradientNorm, learningRate } = this.#step!;
    const { choiceWaitShare, ...rate } = rates.figures;
    const unused = skipped();
    this.#told = {
      loss,
      objectives: {
        ...objectives,
        ...(chooses && { 'curation/waitShare': choiceWaitShare }),
        ...(unused > 0 && { 'data/skipped': unused }),
      },
      figures: {
        ...{ learningRate, gradientNorm },
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
