import type { Difference } from '../../src/evaluate/intervals.ts';
import { type FigureName, figureNames } from './figures.ts';
import { mean, meanCell } from './means.ts';
import type { Variant } from './variants.ts';

export type Differences = Readonly<Record<FigureName, Difference>>;

/** What a run of a variant came to; of the model that all go on from there is no variant. */
export interface Outcome {
  readonly variant: Variant | null;
  readonly seed: number;
  readonly rate: number;
  /** That were made, of so many. */
  readonly steps: number;
  readonly of: number;
  /** Of a device, in steps alone. */
  readonly seconds: number;
  /** Numbers that were trained. */
  readonly trained: number;
  readonly figures: Readonly<Record<FigureName, number>>;
  /** Less the same figures of the outcomes before it of its seed, by name; `untouched` among them. */
  readonly beside: Readonly<Record<string, Differences>>;
}

const points = (share: number) => `${share < 0 ? '' : '+'}${(100 * share).toFixed(1)}`;
const range = (low: number, high: number) => `${points(low)} to ${points(high)}`;

export const nameOf = (variant: Variant | null): string =>
  variant === null ? 'untouched' : `${variant.method} x${variant.times}`;

/**
 * As a table in Markdown: means over seeds, and in brackets the interval of 95 % of the difference to the untouched model, from
 * the lowest to the highest of all seeds.
 */
export function table(outcomes: readonly Outcome[]): string {
  const names = [...new Set(outcomes.map(({ variant }) => nameOf(variant)))];
  const rows = names.map((name) => {
    const own = outcomes.filter(({ variant }) => nameOf(variant) === name);
    const { variant, rate, trained } = own[0]!;
    const figures = figureNames.map((figure) => {
      const value = `${(100 * mean(own.map((one) => one.figures[figure]))).toFixed(1)} %`;
      const intervals = own.flatMap(({ beside }) => (beside.untouched ? [beside.untouched[figure]] : []));
      if (intervals.length === 0) return value;
      const [low, high] = [intervals.map((one) => one.low), intervals.map((one) => one.high)];
      return `${value} (${range(Math.min(...low), Math.max(...high))})`;
    });
    const steps = own.map((one) => (one.steps < one.of ? `${one.steps} of ${one.of}` : `${one.steps}`)).join(', ');
    const seconds = mean(own.map((one) => one.seconds)).toFixed(0);
    const how = variant === null ? [name, ''] : [variant.method, rate.toExponential(0)];
    return `| ${[...how, steps, seconds, trained.toLocaleString('en'), ...figures].join(' | ')} |`;
  });
  return [
    `| method | rate | steps | s | trained | ${figureNames.join(' | ')} |`,
    '|---|---|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** A mean of the untouched model and one that a seed came to, with the figures of both together. */
export interface Between {
  readonly variant: Variant;
  readonly seed: number;
  /** Share of the tuned model. */
  readonly ratio: number;
  readonly figures: Readonly<Record<FigureName, number>>;
}

/** Means over seeds by the ratio, and in brackets the lowest and the highest where there are several. */
export function curveTable(all: readonly Between[]): string {
  const names = [...new Set(all.map(({ variant }) => nameOf(variant)))];
  const rows = names.flatMap((name) => {
    const own = all.filter(({ variant }) => nameOf(variant) === name);
    return [...new Set(own.map(({ ratio }) => ratio))].map((ratio) => {
      const of = own.filter((one) => one.ratio === ratio);
      const figures = figureNames.map((figure) => meanCell(of.map((one) => one.figures[figure])));
      return `| ${[name, ratio, ...figures].join(' | ')} |`;
    });
  });
  return [`| method | ratio | ${figureNames.join(' | ')} |`, '|---|---|---|---|---|---|', ...rows].join('\n');
}

/** Every method at the rate that is best in the new style, beside the others: which is better, and whether it is. */
export function sentences(outcomes: readonly Outcome[]): string[] {
  return [...new Set(outcomes.map(({ seed }) => seed))].flatMap((seed) => {
    const own = outcomes.filter((one) => one.seed === seed && one.variant !== null);
    const best = own.filter(({ variant, figures }) =>
      own.every(
        (other) => other.variant!.method !== variant!.method || other.figures['new top-1'] <= figures['new top-1'],
      ),
    );
    return best.flatMap(({ variant, beside }) =>
      best.flatMap((other) => {
        const found = beside[nameOf(other.variant)];
        if (!found) return [];
        const said = figureNames.map((figure) => {
          const { low, high, differs } = found[figure];
          return `${figure} ${range(low, high)}${differs ? '' : ' (none)'}`;
        });
        return [`seed ${seed}, ${nameOf(variant)} less ${nameOf(other.variant)}: ${said.join(', ')}`];
      }),
    );
  });
}
