import { type Figure, ratio, refuse, sameLength } from './figure.ts';

/** How a figure is split by what the data says of its examples: region, income, language, style. */
export interface GroupSettings {
  /** What the groups are of, for the names of figures: `income`. */
  readonly axis: string;
  /** Groups that should be there; those without an example get null, and are no worst group. */
  readonly expected?: readonly string[];
}

/** More groups are names of something else, and no table. */
const mostGroups = 10_000;

/**
 * Shares by group, the worst of them, and how far apart they are: `gap` is the best less the worst (fairlearn's `difference`,
 * the paper's disparity over income levels), `ratio` the worst over the best. `values` are 0 or 1 of each example, or any
 * figure of it; `groups` names its group, null where the data names none, and then it counts as `ungrouped`. Cost: one pass.
 */
export function groupFigures(
  values: ArrayLike<number>,
  groups: readonly (string | null)[],
  { axis, expected = [] }: GroupSettings,
): Figure[] {
  sameLength(axis, 'the list of groups', groups.length, values.length);
  const sums = new Map(expected.map((name) => [name, { sum: 0, of: 0 }]));
  let ungrouped = 0;
  for (const [i, name] of groups.entries()) {
    if (!Number.isFinite(values[i])) refuse(`example ${i}`, `its value is ${values[i]}`);
    if (name === null) {
      ungrouped++;
      continue;
    }
    const own = sums.get(name) ?? { sum: 0, of: 0 };
    if (sums.size === mostGroups && !sums.has(name)) refuse(axis, `it has more than ${mostGroups} groups`);
    sums.set(name, { sum: own.sum + values[i]!, of: own.of + 1 });
  }
  const each = [...sums]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { sum, of }]) => ({ name, value: ratio(sum, of), of }));
  const there = each.flatMap(({ value }) => value ?? []);
  const [worst, best] = there.length > 0 ? [Math.min(...there), Math.max(...there)] : [null, null];
  const of = there.length;
  return [
    ...each.map(({ name, ...figure }) => ({ name: `${axis}/${name}`, ...figure })),
    { name: `${axis}_worst`, value: worst, of },
    { name: `${axis}_gap`, value: worst === null ? null : best - worst, of },
    { name: `${axis}_ratio`, value: worst === null || best === 0 ? null : worst / best, of },
    ...(ungrouped > 0 ? [{ name: `${axis}_ungrouped`, value: ungrouped, of: groups.length }] : []),
  ];
}

/**
 * Representation bias (SigLIP 2, 3.5): of pictures that should say nothing of it, the share whose first text scores higher than
 * the second ("Male", "Female"), less one half. Equal scores are half a preference. From -0.5 to 0.5; the paper prints percent.
 */
export function representationBias(first: ArrayLike<number>, second: ArrayLike<number>): Figure {
  sameLength('representation bias', 'the second list of scores', second.length, first.length);
  let preferred = 0;
  for (let i = 0; i < first.length; i++) {
    const difference = first[i]! - second[i]!;
    if (Number.isNaN(difference)) refuse(`picture ${i}`, 'a score of it is not a number');
    preferred += difference > 0 ? 1 : difference === 0 ? 0.5 : 0;
  }
  const share = ratio(preferred, first.length);
  return { name: 'representation_bias', value: share === null ? null : share - 0.5, of: first.length };
}
