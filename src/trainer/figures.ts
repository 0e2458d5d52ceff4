import type { StepSums } from '../checkpoint/types.ts';
import { fewSources, isShare } from '../train/few-sources.ts';
import type { StepMetrics } from '../train/step.ts';

/**
 * How many steps one record stands for: each step up to 1,000, every tenth up to 100,000, every hundredth after that,
 * so that a million steps have 19,900 records.
 */
const recordEvery = (step: number): number => (step <= 1000 ? 1 : step <= 100_000 ? 10 : 100);

/**
 * What steps came to: the figures of the last one, and means over those since the last record. Records are made by the
 * step's number alone, and a checkpoint holds the sums since the last one, so that a run that was killed, or cut at
 * other steps, writes the very records of an undisturbed one.
 */
export class Figures {
  #since: StepSums | undefined;
  #last: Readonly<Record<string, number>> = {};
  #recorded = false;

  /** @param since the last record, of the checkpoint that is gone on from */
  constructor(since: StepSums | undefined) {
    this.#since = since;
  }

  add({ loss, gradientNorm, clipped, objectives }: Omit<StepMetrics, 'learningRate'>): void {
    this.#last = { loss, ...objectives, gradientNorm, clipped };
    const before = this.#recorded ? undefined : this.#since;
    this.#recorded = false;
    const { steps = 0, sums = {}, maxLoss = loss } = before ?? {};
    const all = { ...sums };
    for (const [key, value] of Object.entries(this.#last)) {
      // A source that a step had nothing of has no share of it. What else is missing an older version did not sum up: it
      // has no mean until the next record.
      if (steps === 0 || key in sums || isShare(key)) all[key] = (all[key] ?? 0) + value;
    }
    // Step by step, so that where a checkpoint cuts is no matter for what is summed up as others.
    this.#since = { steps: steps + 1, sums: fewSources(all), maxLoss: Math.max(maxLoss, loss) };
  }

  /** Whether the step that was added last is one that is recorded; the next one then begins new means. */
  recorded(step: number): boolean {
    this.#recorded = step % recordEvery(step) === 0;
    return this.#recorded;
  }

  /** Means by name, and the largest loss as `loss/max`. */
  get means(): Record<string, number> {
    const { steps, sums, maxLoss } = this.#since!;
    const means = Object.entries(sums).map(([key, sum]) => [`${key}/mean`, sum / steps]);
    return { ...Object.fromEntries(means), 'loss/max': maxLoss };
  }

  /** What a checkpoint holds of the steps since the last record, where there are any. */
  get since(): StepSums | undefined {
    return this.#recorded ? undefined : this.#since;
  }
}
