import { join } from 'node:path';
import type { BatchPlan } from '../../recipe/batch-plan.ts';
import { PhaseSteps } from '../../recipe/steps.ts';
import { loaderThreads } from '../../runtime/loader-threads.ts';
import { paths } from '../../runtime/paths.ts';
import { openProducer } from '../../runtime/producer.ts';
import type { ScoreIndex } from '../index/score-index.ts';
import type { StoredIndex } from '../index/types.ts';
import { KeptBatches } from './kept-batches.ts';
import { PieceStore } from './piece-store.ts';
import { exampleBytes, heldBytes, pieceBytes, prefetchBytes, rowsOfPiece } from './row-bytes.ts';
import { SpillFile } from './spill-file.ts';
import type { BatchSource, Piece } from './types.ts';

export interface BatchOptions {
  /** Local file that holds the document of an index as JSON, or that document. */
  readonly index: string | StoredIndex;
  readonly plan: BatchPlan;
  /** The ScoreIndex of a plan with teacherScores, as a local file or itself. */
  readonly scores?: string | ScoreIndex | null;
  readonly firstBatch: number;
  /** Batches that are left out, ascending: `firstBatch` counts the others. */
  readonly skip?: readonly number[];
  /** Batches that are kept ready, where their bytes allow it: 4. */
  readonly prefetch?: number;
  /** Bytes of rows that are made together, 64 MiB. */
  readonly bytes?: number;
  /** Bytes of rows that are kept for a second use in memory, 1 GiB: those beyond it lie on the disk. */
  readonly held?: number;
  /** Threads that make rows, by default as the environment says. They change nothing of what is made. */
  readonly threads?: number;
  /** Keeps the thread for the next batches that this process opens. */
  readonly keepThread?: boolean;
  /** Told when reading waits for something, such as a store that is away. */
  readonly note?: (text: string) => void;
  /** Environment in which the thread finds its store, `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
}

/** What the thread is started with. */
export interface LoaderSettings {
  readonly index: string | StoredIndex;
  readonly plan: BatchPlan;
  readonly scores: string | ScoreIndex | null;
  readonly firstBatch: number;
  readonly skip: readonly number[];
  /** Of a piece. */
  readonly bytes: number;
  readonly threads: number;
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
  bytes = pieceBytes,
  held = heldBytes,
  keepThread = false,
  note,
  env = process.env,
  threads = loaderThreads(env),
}: BatchOptions): BatchSource {
  const settings: LoaderSettings = { index, plan, scores, firstBatch, skip, bytes, threads, env: { ...env } };
  const module = new URL('./batch-loader.ts', import.meta.url).href;
  const shapes = new PhaseSteps(plan)
    .shapes()
    .map(({ count, length }) => ({ count: plan.candidates ?? count, length }));
  const pieces = Math.max(...shapes.map((shape) => Math.ceil(shape.count / rowsOfPiece(plan, shape, bytes))));
  const slot = Math.max(bytes, ...shapes.map(({ length }) => exampleBytes(plan, length)));
  const producer = openProducer<LoaderSettings, Piece>(
    { module, settings, prefetch: prefetch * pieces, prefetchBytes, keep: keepThread },
    note,
  );
  const file = new SpillFile(join(paths(env).scratch, 'rows'), slot);
  return new KeptBatches(producer, new PieceStore(file, held));
}
