import type { BatchPlan } from '../../recipe/batch-plan.ts';
import { openProducer } from '../../runtime/producer.ts';
import type { ScoreIndex } from '../index/score-index.ts';
import type { DataIndex } from '../index/types.ts';
import type { Batch, BatchSource } from './types.ts';

export interface BatchOptions {
  /** Local file that holds the DataIndex as JSON, or the index itself. */
  readonly index: string | DataIndex;
  readonly plan: BatchPlan;
  /** The ScoreIndex of a plan with teacherScores, as a local file or itself. */
  readonly scores?: string | ScoreIndex | null;
  readonly firstBatch: number;
  /** Batches that are left out, ascending: `firstBatch` counts the others. */
  readonly skip?: readonly number[];
  /** Batches that are kept ready, 4. */
  readonly prefetch?: number;
  /** Told when reading waits for something, such as a store that is away. */
  readonly note?: (text: string) => void;
  /** Environment in which the thread finds its store, `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
}

/** What the thread is started with. */
export interface LoaderSettings {
  readonly index: string | DataIndex;
  readonly plan: BatchPlan;
  readonly scores: string | ScoreIndex | null;
  readonly firstBatch: number;
  readonly skip: readonly number[];
  readonly env: Record<string, string | undefined>;
}

/**
 * Batches from `firstBatch` on, made ahead in a thread of their own. What batch k holds depends on (index, plan, k)
 * alone, so opening at k goes on exactly where a killed process was.
 */
export function openBatches({
  index,
  plan,
  scores = null,
  firstBatch,
  skip = [],
  prefetch = 4,
  note,
  env = process.env,
}: BatchOptions): BatchSource {
  const settings: LoaderSettings = { index, plan, scores, firstBatch, skip, env: { ...env } };
  const module = new URL('./batch-loader.ts', import.meta.url).href;
  return openProducer<LoaderSettings, Batch>({ module, settings, prefetch }, note);
}
