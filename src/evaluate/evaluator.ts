import type { Embeddings } from './concept-places.ts';
import type { Pause } from './numbers/pause.ts';

/** One figure. Shares are fractions of one, not percent. */
export interface Metric {
  readonly name: string;
  readonly value: number;
}

/** What an evaluator looks at: the images of a data set and the texts that name their concepts, in one language. */
export interface EvaluationInput {
  readonly images: Embeddings;
  /** One row a concept, or several prompts for it; concepts without a text in this language have none. */
  readonly texts: Embeddings;
}

/** The contract of every evaluator: a pure function of embeddings that yields its figures by name. */
export type Evaluator = (input: EvaluationInput, pause: Pause) => AsyncIterable<Metric>;
