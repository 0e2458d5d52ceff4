import { kindOf } from '../data/index/skipped-members.ts';
import { printable } from '../runtime/printable.ts';
import type { Dropped } from './types.ts';

/** Reasons that are told apart, and names of each: a report stays below 200 KB, whatever the data are. */
const mostReasons = 40;
const mostNames = 20;
const others = 'other reasons';

/** Counts what is left out, by what is wrong with it. */
export class DroppedItems {
  readonly #reasons = new Map<string, { pictures: number; names: string[] }>();

  add(name: string, reason: string): void {
    const kind = printable(kindOf(reason));
    const detail = reason === kind ? '' : `: ${printable(reason).slice(0, 160)}`;
    this.#of(kind, 1, [`${printable(name)}${detail}`]);
  }

  merge(dropped: Dropped): void {
    for (const [reason, { pictures, names }] of Object.entries(dropped)) this.#of(reason, pictures, names);
  }

  #of(reason: string, pictures: number, names: readonly string[]): void {
    const known = this.#reasons.has(reason) || this.#reasons.size < mostReasons;
    const at = known ? reason : others;
    const found = this.#reasons.get(at) ?? { pictures: 0, names: [] };
    this.#reasons.set(at, found);
    found.pictures += pictures;
    found.names.push(...names.slice(0, mostNames - found.names.length));
  }

  /** Most first. */
  get all(): Dropped {
    const sorted = [...this.#reasons].sort(([a, { pictures: m }], [b, { pictures: n }]) => n - m || (a < b ? -1 : 1));
    return Object.fromEntries(sorted);
  }

  get pictures(): number {
    return [...this.#reasons.values()].reduce((sum, { pictures }) => sum + pictures, 0);
  }
}
