import type { Used } from '../../src/costs/used.ts';
import type { Document } from './document.ts';

/** Embeddings as they were planned: references and counts, for the workflow. */
export interface EmbeddingsBegun {
  /** EmbeddingPlan. */
  readonly document: Document;
  readonly name: string;
  readonly parts: number;
  /** They are there already. */
  readonly done: boolean;
}

/** What embeddings come to. */
export interface EmbeddingsReport {
  readonly name: string;
  /** Of their manifest, and its sha256. */
  readonly key: string;
  readonly sha256: string;
  readonly model: string;
  readonly examples: number;
  readonly skipped: number;
  readonly texts: Readonly<Record<string, number>>;
  readonly width: number;
  readonly parts: number;
  readonly bytes: number;
  /** What this workflow used, which may have been little: parts that are there are not made again. */
  readonly used?: Used;
}
