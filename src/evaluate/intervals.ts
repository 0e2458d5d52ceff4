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
  for (const name of Object.keys(outcomes).sort()) {
    const { numbers, clusters } = numbered([outcomes[name]!.pictures]);
    const { low, high } = bootstrap(clusters, meanOf(outcomes[name]!, numbers, clusters), { seed });
    if (low !== null && high !== null) found[name] = { low, high };
  }
  return found;
}

/** b - a on the same draws of the same pictures. */
export interface Difference extends FigureInterval {
  /** False where the interval holds zero: such a difference is none. */
  readonly differs: boolean;
}

/** Of figures that both have; pictures are numbered alike in the two, since they were made of the same ones. */
export function differencesOf(
  a: Readonly<Record<string, Outcome>>,
  b: Readonly<Record<string, Outcome>>,
): Record<string, Difference> {
  const found: Record<string, Difference> = {};
  for (const name of Object.keys(a).sort()) {
    const [first, second] = [a[name]!, b[name]];
    if (!second) continue;
    const { numbers, clusters } = numbered([first.pictures, second.pictures]);
    const statistics = [meanOf(first, numbers, clusters), meanOf(second, numbers, clusters)] as const;
    const { low, high, differs } = bootstrapDifference(clusters, ...statistics, { seed });
    if (low !== null && high !== null) found[name] = { low, high, differs };
  }
  return found;
}

function meanOf({ values, pictures }: Outcome, numbers: ReadonlyMap<number, number>, clusters: number): Statistic {
  return ofMean(
    values,
    Int32Array.from(pictures, (picture) => numbers.get(picture)!),
    clusters,
  );
}

/** Pictures that anything came of, from 0. */
function numbered(lists: readonly Int32Array[]): { numbers: Map<number, number>; clusters: number } {
  const pictures = [...new Set(lists.flatMap((list) => [...list]))].sort((x, y) => x - y);
  return { numbers: new Map(pictures.map((picture, number) => [picture, number])), clusters: pictures.length };
}
