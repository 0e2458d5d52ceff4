import { counted } from '../../runtime/count-text.ts';

/** The classes of examples, by number. */
export interface Labelled {
  /** Of each example its classes; none where it has no label, or none that is known. */
  readonly labels: readonly (readonly number[])[];
  /** Examples without one. */
  readonly leftOut: number;
  /** Sentences on them. */
  readonly notes: readonly string[];
}

/**
 * What each example shows, by the number of the class. A concept that is a number, as in a `.cls` member, is that of a class;
 * one that is a name is looked up. A class without a text is left out, counted and named.
 */
export function labelled(
  concepts: readonly (readonly string[])[],
  numberOf: (concept: string) => number | undefined,
  what = 'no text',
): Labelled {
  const unknown = new Map<string, number>();
  let unlabelled = 0;
  const labels = concepts.map((own) => {
    const known = [...new Set(own.flatMap((concept) => numberOf(concept) ?? []))];
    if (own.length === 0) unlabelled++;
    else if (known.length === 0) unknown.set(own[0]!, (unknown.get(own[0]!) ?? 0) + 1);
    return known;
  });
  const notes: string[] = [];
  if (unlabelled > 0) notes.push(`${counted(unlabelled, 'picture has', 'pictures have')} no label: left out`);
  const leftOut = labels.filter((own) => own.length === 0).length;
  if (unknown.size > 0) {
    const some = [...unknown.keys()].slice(0, 3).map((name) => JSON.stringify(name.slice(0, 60)));
    const without = leftOut - unlabelled;
    const of = `${counted(without, 'picture')} of ${counted(unknown.size, 'class', 'classes')}`;
    notes.push(`${of} ${without === 1 ? 'has' : 'have'} ${what}, such as ${some.join(', ')}: left out`);
  }
  return { labels, leftOut, notes };
}

/**
 * Number of a class by its name, or by its number as text. One with zeros before it is none: an example that says no concept
 * has its name as one, and names of WebDataset are numbers like 00000007.
 */
export function numberByName(names: readonly string[]): (concept: string) => number | undefined {
  const known = new Map<string, number>();
  for (const [number, name] of names.entries()) if (!known.has(name)) known.set(name, number);
  return (concept) => {
    const number = known.get(concept);
    if (number !== undefined) return number;
    return /^(0|[1-9]\d{0,8})$/.test(concept) && Number(concept) < names.length ? Number(concept) : undefined;
  };
}

/**
 * Each concept with the row of its text, numbered as they appear: the first caption of the first picture that shows it.
 *
 * @param of of each caption the number of its picture
 */
export function firstCaptions(
  of: ArrayLike<number>,
  conceptsOf: (picture: number) => readonly string[],
): { readonly numbers: ReadonlyMap<string, number>; readonly rows: readonly number[] } {
  const numbers = new Map<string, number>();
  const rows: number[] = [];
  for (let row = 0; row < of.length; row++) {
    // Of several labels the first one is what a caption speaks of.
    const concept = conceptsOf(of[row]!)[0];
    if (concept === undefined || numbers.has(concept)) continue;
    numbers.set(concept, rows.length);
    rows.push(row);
  }
  return { numbers, rows };
}

/** The distinct concepts of a set in one order, whatever the order of the examples is. */
export const sortedConcepts = (concepts: readonly (readonly string[])[]): string[] =>
  [...new Set(concepts.flat())].sort();
