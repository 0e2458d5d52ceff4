import type { Box } from '../metrics/boxes.ts';
import type { Frequency } from '../metrics/detection.ts';
import type { TrueBox } from '../metrics/detection-match.ts';

/** A picture: a file of the data set, or its bytes where it lies within another file. */
export type PictureAt = { readonly file: string } | { readonly bytes: Buffer };

export interface Pointing {
  readonly expressions: readonly string[];
  readonly box: Box;
}

/** One example of a data set that people compare by, with what it says of it. */
export interface Example {
  /** Told apart by it; several examples may be of one picture. */
  readonly name: string;
  readonly picture: PictureAt;
  /** Numbers of its classes: one, or several, or none where its labels are not known. */
  readonly labels?: readonly number[];
  /** Texts by language. */
  readonly captions?: Readonly<Record<string, readonly string[]>>;
  /** What fairness is looked at by: region, income, country. */
  readonly groups?: Readonly<Record<string, string>>;
  /** Boxes, each with the texts that point at it. */
  readonly pointing?: readonly Pointing[];
  /** Boxes of things, with numbers of categories as the data set has them. */
  readonly truths?: readonly TrueBox[];
  /** LVIS: categories that are known not to be there, and those of which not all were marked. */
  readonly negative?: readonly number[];
  readonly notExhaustive?: readonly number[];
  /** Files with a value a pixel: src/data/example/pixel-values.ts reads them. */
  readonly mask?: string;
  readonly depth?: string;
}

/** An example that can't be used, and why: it is named and counted, never dropped. */
export interface Fault {
  readonly name: string;
  readonly fault: string;
}

export interface Category {
  readonly name: string;
  readonly frequency?: Frequency;
}

/** A data set as it lies on a disk or in a bucket. */
export interface Benchmark {
  /** By number; null where it has none. */
  readonly classes: readonly string[] | null;
  /** With {c} where a class goes. */
  readonly templates: readonly string[] | null;
  /** What 0 is in its masks: a class, or none, and then 1 is the first one. */
  readonly zero?: 'none';
  /** Names of what its boxes are of, by number, and how frequent LVIS says that they are. */
  readonly categories?: ReadonlyMap<number, Category>;
  /** Sentences on what is odd about the whole. */
  readonly notes: readonly string[];
  /** In the order of the data set, one held at a time. Errors: DataContract, where a file breaks off. */
  examples(): AsyncIterable<Example | Fault>;
}
