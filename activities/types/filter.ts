import type { FilterStage, FilterStep } from '../../src/filtering/plan.ts';
import type { Document } from './document.ts';

/** A filter, as it was begun. */
export interface FilterBegun {
  /** FilterPlan. */
  readonly document: Document;
  readonly name: string;
  /** sha256 of all that its weights depend on. */
  readonly filter: string;
  /** What is to be done, in this order; nothing where it is there already. */
  readonly stages: readonly FilterStage[];
}

export interface FilterStepInput<S extends FilterStep = FilterStep> {
  readonly begun: Omit<FilterBegun, 'stages'>;
  readonly step: S;
  /** Of so many as its stage has, from 0. */
  readonly part: number;
}
