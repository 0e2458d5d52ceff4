import type { z } from 'zod';
import { groupFigures } from '../../metrics/groups.ts';
import { own } from '../../recipe/own.ts';
import { RunnerError } from '../../runtime/errors.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import type { Evaluator, Figures, Found, Outcome } from './contract.ts';
import type { groupsSettings } from './settings.ts';
import { zeroShot } from './zero-shot.ts';

type Settings = z.infer<typeof groupsSettings>;

/**
 * Zero-shot accuracy by what examples say of themselves, `groups` of their JSON: of each group, the worst of them, and how far
 * best and worst are apart (fairlearn's `difference`; SigLIP 2's disparity over income levels). Pictures that are in no group are
 * counted apart, and those without a text for their class are left out, as in `zeroShot`.
 */
export const groups: Evaluator<Settings> = {
  needs: (named) => ({ ...zeroShot.needs(named, { top: [] }), truth: true }),
  protocol: ({ by, top }, seed) => ({
    ...zeroShot.protocol({ top: [] }, seed),
    by: by.join(', '),
    counts: `top${top}`,
  }),
  async evaluate(input, { by, top }) {
    const { outcomes, notes } = await zeroShot.evaluate(input, { top: [top] });
    const found = by.flatMap((axis) => {
      const groupOf = groupsOf(input.test, axis);
      return Object.entries(outcomes).map(([name, outcome]) => {
        const path = name.slice(0, name.lastIndexOf('.') + 1);
        return { axis, path, ...byGroup(axis, `${path}${axis}.by.`, top, outcome, groupOf) };
      });
    });
    const language = (path: string) => path.replace(/^by_language\./, '').replace(/\.$/, '');
    const figures: Record<string, Figures> = {};
    for (const { axis, path, figures: one } of found) {
      if (path === '') figures[axis] = one;
      else {
        const all = (figures.by_language ?? {}) as Record<string, Figures>;
        figures.by_language = { ...all, [language(path)]: { ...all[language(path)], [axis]: one } };
      }
    }
    return { figures, notes, outcomes: Object.assign({}, ...found.map((one) => one.outcomes)) };
  },
};

/** Of each picture its group, null where it says none. DataContract where none does. `of`: such as "train: ". */
export function groupsOf(set: FeatureSet, axis: string, of = ''): (string | null)[] {
  const found = set.examples.map(({ truth }) => own(truth?.groups ?? {}, axis) ?? null);
  if (found.some((group) => group !== null)) return found;
  const there = [...new Set(set.examples.flatMap(({ truth }) => Object.keys(truth?.groups ?? {})))].sort();
  throw new RunnerError(
    'DataContract',
    `${of}no picture says which ${JSON.stringify(axis)} it is of: ${there.length > 0 ? `its groups are ${there.slice(0, 20).join(', ')}` : 'the JSON of examples has no groups, such as {"groups": {"region": "Africa"}}'}`,
  );
}

function byGroup(
  axis: string,
  path: string,
  top: number,
  { values, pictures }: Outcome,
  groupOf: readonly (string | null)[],
): Pick<Found, 'figures' | 'outcomes'> {
  const groups = Array.from(pictures, (picture) => groupOf[picture]!);
  const figures = groupFigures(values, groups, { axis });
  const named = figures.flatMap(({ name, value, of }) =>
    name.startsWith(`${axis}/`) && value !== null ? [{ group: name.slice(axis.length + 1), value, of }] : [],
  );
  const known = (name: string) => {
    const value = figures.find((one) => one.name === `${axis}_${name}`)?.value ?? null;
    return value === null ? {} : { [name]: value };
  };
  const members = new Map<string, number[]>(named.map(({ group }) => [group, []]));
  for (const [i, group] of groups.entries()) if (group !== null) members.get(group)!.push(i);
  const outcomes = [...members].map(([group, own]): [string, Outcome] => {
    return [
      `${path}${group}.top${top}`,
      { values: Float32Array.from(own, (i) => values[i]!), pictures: Int32Array.from(own, (i) => pictures[i]!) },
    ];
  });
  return {
    figures: {
      groups: named.length,
      ...{ ...known('worst'), ...known('gap'), ...known('ratio'), ...known('ungrouped') },
      by: Object.fromEntries(named.map(({ group, value, of }) => [group, { [`top${top}`]: value, examples: of }])),
    },
    outcomes: Object.fromEntries(outcomes),
  };
}
