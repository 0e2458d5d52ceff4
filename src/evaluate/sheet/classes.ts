import { firstCaptions, numberByName } from '../evaluators/labels.ts';
import type { NamedTexts } from '../labels.ts';
import type { Looked } from './look.ts';
import { short } from './look.ts';
import type { Sheet } from './sheet.ts';

const most = { pairs: 8, picturesOfPair: 4, outcomes: 96 };

/** Classes that pictures may be taken for: what each is called, and which are right for a picture. */
export interface SheetClasses {
  readonly names: readonly string[];
  readonly numbersOf: (picture: Looked) => readonly number[];
}

/** Those that a task names. */
export function namedClasses(names: readonly string[]): SheetClasses {
  const numberOf = numberByName(names);
  return { names, numbersOf: ({ meta }) => conceptsOf(meta).flatMap((concept) => numberOf(concept) ?? []) };
}

/** Every concept of the pictures, called by the first caption of the first picture that has one, and those captions' rows. */
export function conceptClasses(
  pictures: readonly Looked[],
  captions: NamedTexts,
): SheetClasses & { readonly rows: readonly number[] } {
  const { numbers, rows } = firstCaptions(captions.concepts, (picture) => conceptsOf(pictures[picture]!.meta));
  return {
    names: rows.map((row) => captions.texts[row]!),
    rows,
    numbersOf: ({ meta }) => conceptsOf(meta).flatMap((concept) => numbers.get(concept) ?? []),
  };
}

const conceptsOf = ({ concept, concepts }: Looked['meta']): readonly string[] => concepts ?? [concept];

/** What pictures were taken for, `nearest` the class of each: some of them one by one, and the pairs that were mixed up most. */
export function takenFor(
  pictures: readonly Looked[],
  { names, numbersOf }: SheetClasses,
  nearest: ArrayLike<number>,
): Pick<Sheet, 'outcomes' | 'confusions'> {
  const labelled = pictures.flatMap((picture, i) => {
    const right = numbersOf(picture);
    const taken = nearest[i]!;
    if (right.length === 0 || taken < 0) return [];
    const truth = right.includes(taken) ? taken : right[0]!;
    return [{ id: picture.id, truth, taken, right: truth === taken }];
  });
  const said = (number: number) => short(names[number]!);
  const every = Math.max(1, labelled.length / most.outcomes);
  const outcomes = Array.from(
    { length: Math.min(most.outcomes, labelled.length) },
    (_, i) => labelled[Math.floor(i * every)]!,
  ).map(({ id, truth, taken, right }) => ({ id, truth: said(truth), taken: said(taken), right }));
  const pairs = new Map<string, { truth: number; taken: number; ids: string[] }>();
  for (const { id, truth, taken, right } of labelled) {
    if (right) continue;
    const key = `${truth} ${taken}`;
    const pair = pairs.get(key) ?? { truth, taken, ids: [] };
    pairs.set(key, pair);
    pair.ids.push(id);
  }
  const confusions = [...pairs.values()]
    .sort((a, b) => b.ids.length - a.ids.length || a.truth - b.truth || a.taken - b.taken)
    .slice(0, most.pairs)
    .map(({ truth, taken, ids }) => ({
      truth: said(truth),
      taken: said(taken),
      times: ids.length,
      ids: [...new Set(ids)].slice(0, most.picturesOfPair),
    }));
  return { outcomes, confusions };
}
