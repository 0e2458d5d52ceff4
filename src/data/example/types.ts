import type { Region } from './regions.ts';

/** The JSON member of an example. The first caption of a language is its label, the others are tags. */
export interface ExampleMeta {
  readonly key: string;
  readonly captions: Readonly<Record<string, readonly string[]>>;
  /** Of each caption the number of its field in the mapping, where that names several. */
  readonly fields?: Readonly<Record<string, readonly number[]>>;
  /** Class for zero-shot evaluation: examples of equal concept show the same thing. */
  readonly concept: string;
  /** All classes that are right, for zero-shot evaluation; absent: `concept` is the only one. Empty: none is. */
  readonly concepts?: readonly string[];
  /** Described parts of the image. */
  readonly regions?: readonly Region[];
  /** Texts that are wrong for the picture, as they stand there: `negativesIn` reads them. */
  readonly negatives?: unknown;
  /** Where the example comes from: curation says how much of each source it chose. */
  readonly source?: string;
  readonly style?: string;
  readonly hexcode?: string;
}
