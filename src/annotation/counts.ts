import { SkippedMembers } from '../data/index/skipped-members.ts';
import type { SkippedSummary } from '../data/index/types.ts';
import type { Annotated } from './annotate-examples.ts';
import type { BoxCounts } from './boxes.ts';

/** What became of the pictures of a shard, or of many. */
export interface AnnotationCounts {
  readonly pictures: number;
  /** Of them, those that nothing was asked of: no caption in the language that says something, and no categories. */
  readonly unasked: number;
  /** Of them, those with regions. */
  readonly withRegions: number;
  readonly queries: { readonly ngrams: number; readonly categories: number };
  readonly boxes: BoxCounts;
}

export const noCounts: AnnotationCounts = {
  pictures: 0,
  unasked: 0,
  withRegions: 0,
  queries: { ngrams: 0, categories: 0 },
  boxes: { proposed: 0, belowThreshold: 0, outside: 0, overlapping: 0, beyondMost: 0, unsure: 0, kept: 0 },
};

/** Counts what a shard comes to, example by example. */
export class ShardCounts {
  #counts = noCounts;
  readonly #broken = new SkippedMembers();

  add(one: Annotated): void {
    if ('corrupt' in one) {
      this.#broken.add([one.corrupt]);
      return;
    }
    const asked = one.queries.ngrams + one.queries.categories;
    const own = {
      pictures: 1,
      unasked: asked === 0 ? 1 : 0,
      withRegions: one.regions.length > 0 ? 1 : 0,
      queries: one.queries,
      boxes: one.counts,
    };
    this.#counts = added(this.#counts, own);
  }

  get counts(): AnnotationCounts {
    return this.#counts;
  }

  get broken(): SkippedSummary | null {
    return this.#broken.summary();
  }
}

/** Sums of every number of two objects of one form. */
function added<T extends object>(a: T, b: T): T {
  const sums = Object.entries(a).map(([name, one]) => {
    const other = b[name as keyof T] as unknown;
    return [name, typeof one === 'number' ? one + (other as number) : added(one as object, other as object)];
  });
  return Object.fromEntries(sums) as T;
}
