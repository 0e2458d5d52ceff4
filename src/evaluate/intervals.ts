import { bootstrap, bootstrapDifference, ofMean, type Statistic } from '../metrics/bootstrap.ts';
import type { Found, Outcome } from './evaluators/contract.ts';

/** Where 95 % of the figures of other samples of pictures would lie. */
export interface FigureInterval {
  readonly low: number;
  readonly high: number;
}

const seed = 0;

/** By figure, from what came of single pictures; left out where there are fewer than two pictures. */
export function intervalsOf(outcomes: Found['outcomes']): Record<string, FigureInterval> {
  const found: Record<string, FigureInterval> = {};
  for (const [name, lists] of figuresOf(outcomes)) {
    const { numbers, clusters } = numbered(lists);
    const { low, high } = bootstrap(clusters, meanOf(lists, numbers, clusters), { seed });
    if (low !== null && high !== null) found[name] = { low, high };
  }
  return found;
}

/** b - a on the same draws of the same pictures. */
export interface Difference extends FigureInterval {
  /** False where the interval holds zero: such a difference is none. */
  readonly differs: boolean;
}

/** Of figures that both have, and that are wanted; pictures are numbered alike in the two, since they were made of the same ones. */
export function differencesOf(
  a: Readonly<Record<string, Outcome>>,
  b: Readonly<Record<string, Outcome>>,
  wanted: (name: string) => boolean = () => true,
): Record<string, Difference> {
  const found: Record<string, Difference> = {};
  const ofB = figuresOf(b);
  for (const [name, first] of figuresOf(a)) {
    const second = ofB.get(name);
    if (!second || !wanted(name)) continue;
    const { numbers, clusters } = numbered([...first, ...second]);
    const statistics = [meanOf(first, numbers, clusters), meanOf(second, numbers, clusters)] as const;
    const { low, high, differs } = bootstrapDifference(clusters, ...statistics, { seed });
    if (low !== null && high !== null) found[name] = { low, high, differs };
  }
  return found;
}

/**
 * Of each figure what it is the mean of: `by_language.en.x` of its own values, and `mean.x` of the means of all languages, as
 * XM3600 has it. A picture that is drawn again is so in all of its languages.
 */
function figuresOf(outcomes: Readonly<Record<string, Outcome>>): Map<string, readonly Outcome[]> {
  const figures = new Map<string, Outcome[]>();
  for (const name of Object.keys(outcomes).sort()) {
    figures.set(name, [outcomes[name]!]);
    const rest = /^by_language\.[^.]+\.(.+)$/.exec(name)?.[1];
    if (rest === undefined) continue;
    const mean = `mean.${rest}`;
    figures.set(mean, [...(figures.get(mean) ?? []), outcomes[name]!]);
  }
  return figures;
}

function meanOf(lists: readonly Outcome[], numbers: ReadonlyMap<number, number>, clusters: number): Statistic {
  const each = lists.map(({ values, pictures }) =>
    ofMean(
      values,
      Int32Array.from(pictures, (picture) => numbers.get(picture)!),
      clusters,
    ),
  );
  return (times) => {
    let sum = 0;
    for (const one of each) {
      const value = one(times);
      if (value === null) return null;
      sum += value;
    }
    return sum / each.length;
  };
}

/** Pictures that anything came of, from 0. */
function numbered(lists: readonly Outcome[]): { numbers: Map<number, number>; clusters: number } {
  const pictures = [...new Set(lists.flatMap(({ pictures }) => [...pictures]))].sort((x, y) => x - y);
  return { numbers: new Map(pictures.map((picture, number) => [picture, number])), clusters: pictures.length };
}
