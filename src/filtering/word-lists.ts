import { z } from 'zod';
import { RunnerError } from '../runtime/errors.ts';
import type { Attributes, Bounds } from './balance-settings.ts';
import { plainUnitsOf } from './words.ts';

const words = z.array(z.string().trim().min(1).max(100)).min(1).max(2000);
const name = z.string().min(1).max(100);

/** Lists of words that attributes of examples are told by: the user's own, as a JSON document. */
export const wordLists = z.strictObject({
  sensitive: z
    .record(name, z.record(name, z.strictObject({ words, target: z.number().min(0).max(1).optional() })))
    .describe(
      'Attributes, such as perceived gender, with their groups: the words of each, and pi; even where left out.',
    ),
  labels: z.record(name, words).default({}).describe('What no group shall be tied to, such as occupations.'),
});
export type WordLists = z.infer<typeof wordLists>;

/** A place in the tree of all phrases: what one unit more leads to, and what ends here. */
interface Node {
  readonly next: Map<string, Node>;
  readonly groups: number[];
  readonly labels: number[];
}

/** Lists that are ready to be looked up in. */
export interface WordReader {
  readonly bounds: Bounds;
  /** Names by the numbers that attributes have; with that of its attribute where two attributes have a group of one name. */
  readonly groups: readonly string[];
  readonly labels: readonly string[];
  readonly tree: Node;
  /** Groups of each sensitive attribute: first and end. */
  readonly ranges: readonly (readonly [first: number, end: number])[];
  /** Attributes of most examples. */
  readonly nothing: Attributes;
}

const node = (): Node => ({ next: new Map(), groups: [], labels: [] });

/** RecipeInvalid says which list or target can't be. */
export function readerOf({ sensitive, labels }: WordLists): WordReader {
  const tree = node();
  const groups: string[] = [];
  const targets: number[] = [];
  const ranges: (readonly [number, number])[] = [];
  const named = new Map<string, number>();
  for (const parts of Object.values(sensitive))
    for (const group of Object.keys(parts)) named.set(group, (named.get(group) ?? 0) + 1);
  for (const [attribute, parts] of Object.entries(sensitive)) {
    const first = groups.length;
    const given = Object.values(parts).flatMap(({ target }) => target ?? []);
    const size = Object.keys(parts).length;
    const sum = given.reduce((total, target) => total + target, 0);
    if (given.length > 0 && (given.length < size || Math.abs(sum - 1) > 1e-6))
      throw new RunnerError(
        'RecipeInvalid',
        `sensitive.${attribute} has targets for ${given.length} of ${size} groups, of together ${sum}; allowed: none, or one for each, of together 1`,
      );
    for (const [group, { words, target }] of Object.entries(parts)) {
      for (const word of words) nodeOf(tree, word, `sensitive.${attribute}.${group}`).groups.push(groups.length);
      groups.push(named.get(group)! > 1 ? `${attribute} ${group}` : group);
      targets.push(target ?? 1 / size);
    }
    ranges.push([first, groups.length]);
  }
  const names = Object.keys(labels);
  for (const [r, label] of names.entries())
    for (const word of labels[label]!) nodeOf(tree, word, `labels.${label}`).labels.push(r);
  const nothing: Attributes = { s: groups.map(() => null), y: [] };
  return { bounds: { targets, labels: names.length }, groups, labels: names, tree, ranges, nothing };
}

function nodeOf(tree: Node, phrase: string, where: string): Node {
  let at = tree;
  for (const unit of plainUnitsOf(phrase)) {
    let next = at.next.get(unit);
    if (!next) {
      next = node();
      at.next.set(unit, next);
    }
    at = next;
  }
  if (at === tree)
    throw new RunnerError(
      'RecipeInvalid',
      `${where} has ${JSON.stringify(phrase)}, which has no letter or digit in it`,
    );
  return at;
}

/**
 * What a text says of an example. A phrase counts where all its words stand in a row, in any case; the longest counts, so
 * that a police officer is no officer. Words are compared whole, and in scripts without blanks letter by letter. A text that
 * names several groups of an attribute has an even share of each.
 */
export function attributesOf(text: string, reader: WordReader): Attributes {
  const units = [...plainUnitsOf(text)];
  const groups = new Set<number>();
  const labels = new Set<number>();
  for (let i = 0; i < units.length; ) {
    let at: Node | undefined = reader.tree;
    let found: Node | undefined;
    let end = i + 1;
    for (let k = i; k < units.length; k++) {
      at = at.next.get(units[k]!);
      if (!at) break;
      if (at.groups.length > 0 || at.labels.length > 0) {
        found = at;
        end = k + 1;
      }
    }
    for (const group of found?.groups ?? []) groups.add(group);
    for (const label of found?.labels ?? []) labels.add(label);
    i = end;
  }
  if (groups.size === 0 && labels.size === 0) return reader.nothing;
  const s: (number | null)[] = [...reader.nothing.s];
  for (const [first, end] of reader.ranges) {
    let named = 0;
    for (let k = first; k < end; k++) if (groups.has(k)) named++;
    if (named > 0) for (let k = first; k < end; k++) s[k] = groups.has(k) ? 1 / named : 0;
  }
  return { s, y: [...labels].sort((a, b) => a - b) };
}
