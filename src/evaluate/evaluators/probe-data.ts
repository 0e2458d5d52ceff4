import { counted } from '../../runtime/count-text.ts';
import { RunnerError } from '../../runtime/errors.ts';
import type { FeatureSet } from '../features/feature-set.ts';
import { sortedConcepts } from './labels.ts';

/** What a probe learns from: the classes of `train`, sorted by name, and the class of each example. */
export interface Trained {
  readonly classes: readonly string[];
  /** Of each example, the first of its labels; -1 where it has none. */
  readonly labels: Int32Array;
  readonly notes: readonly string[];
}

/** DataContract where nothing can be told apart. */
export function trained(concepts: FeatureSet['concepts']): Trained {
  const classes = sortedConcepts(concepts.map((own) => own.slice(0, 1)));
  if (classes.length < 2)
    throw new RunnerError(
      'DataContract',
      `train: its ${counted(concepts.length, 'picture has', 'pictures have')} ${counted(classes.length, 'class', 'classes')}, and at least 2 are needed to tell apart; name data with classes, and in read the member that has them`,
    );
  const numbers = numberIn(classes);
  const labels = Int32Array.from(concepts, ([first]) => (first === undefined ? -1 : numbers(first)!));
  const unlabelled = labels.reduce((sum, label) => sum + (label < 0 ? 1 : 0), 0);
  const notes =
    unlabelled === 0
      ? []
      : [`train: ${counted(unlabelled, 'picture has', 'pictures have')} no label: not learned from`];
  return { classes, labels, notes };
}

/** Where no picture of train has truth for its pixels. */
export const nothingToLearn = (why: string) =>
  new RunnerError(
    'DataContract',
    `train: there is no pixel to learn from${why && `: ${why}`}; needed: a member such as NAME.mask.png beside the picture NAME, as src/evaluate/README.md says`,
  );

export function numberIn(classes: readonly string[]): (concept: string) => number | undefined {
  const numbers = new Map(classes.map((name, number) => [name, number]));
  return (concept) => numbers.get(concept);
}
