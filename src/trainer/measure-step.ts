import { readFile } from 'node:fs/promises';
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { openBatches } from '../data/batches/batches.ts';
import type { BatchRows, BatchSource } from '../data/batches/types.ts';
import type { StoredIndex } from '../data/index/types.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { Curator } from '../train/curate.ts';
import { freshState } from '../train/state.ts';
import { createTrainer } from '../train/step.ts';
import type { MeasureJob, StepTime } from './protocol.ts';

/** Steps that are not counted: compilers run, caches fill, and a GPU chooses its kernels. */
const warmUp = 3;
const counted = 7;
/** Batches that are looked through for one of each shape. */
const most = 100;

export interface MeasureEvents {
  note(text: string): void;
  /** Looked at between steps: true ends the job, without an answer. */
  stopWanted(): boolean;
}

/**
 * How long a step takes: a graph of its own is compiled, given a fresh state, and run on the phase's first batch of
 * each shape. What is in a batch, or in the state, changes no step's time, so both are as easy to have as can be; and
 * all of it is thrown away.
 */
export async function measureStep(job: MeasureJob, events: MeasureEvents): Promise<StepTime | null> {
  const source = await openFirst(job, events);
  try {
    const batches = await firstOfEachShape(job, source, events);
    return batches && (await timeOf(job, batches, events));
  } finally {
    await source.close();
  }
}

async function timeOf(
  { settings, teacherFolder }: MeasureJob,
  batches: readonly BatchRows[],
  { stopWanted }: MeasureEvents,
): Promise<StepTime | null> {
  const trainer = createTrainer(settings);
  let curator: Curator | null = null;
  try {
    curator = await Curator.open(settings, trainer.program, teacherFolder);
    trainer.program.write(freshState(settings));
    const medians: number[] = [];
    for (const batch of batches) {
      const times: number[] = [];
      for (let run = 0; run < warmUp + counted; run++) {
        if (stopWanted()) return null;
        const began = performance.now();
        const chosen = curator ? await choiceOf(curator, batch) : batch;
        await trainer.stepOn(1, chosen, 0);
        times.push(performance.now() - began);
        chosen.close();
        await yieldToEvents();
      }
      medians.push(median(times.slice(warmUp)));
    }
    // Each shape is drawn as often.
    return { ms: medians.reduce((a, b) => a + b, 0) / medians.length, hash: trainer.program.hash };
  } finally {
    await curator?.close();
    trainer.program.dispose();
  }
}

async function openFirst({ settings, indexFile, skip, scoresFile }: MeasureJob, { note }: MeasureEvents) {
  const index = JSON.parse(await readFile(indexFile, 'utf8')) as StoredIndex;
  const plan = settings.batches;
  return openBatches({ index, plan, scores: scoresFile ?? null, firstBatch: 0, skip, prefetch: 1, note });
}

async function firstOfEachShape(
  { settings }: MeasureJob,
  source: BatchSource,
  { stopWanted }: MeasureEvents,
): Promise<readonly BatchRows[] | null> {
  const shapes = new PhaseSteps(settings.batches).shapes().length;
  const found = new Map<number | null, BatchRows>();
  for (let i = 0; i < most && found.size < shapes; i++) {
    if (stopWanted()) return null;
    const batch = await source.next();
    const { length = null } = batch;
    if (found.has(length)) batch.close();
    else found.set(length, forAgain(batch));
  }
  return [...found.values()];
}

async function choiceOf(curator: Curator, batch: BatchRows): Promise<BatchRows> {
  const choice = await curator.select(await curator.embed(1, batch), batch);
  return (await curator.take(choice, batch)).batch;
}

/** A batch that is never let go. */
function forAgain(batch: BatchRows): BatchRows {
  const { index, length, count } = batch;
  return {
    index,
    ...(length !== undefined && { length }),
    count,
    rows: (first, rows, options) => batch.rows(first, rows, { ...options, last: false }),
    picked: (rows, without) => batch.picked(rows, without),
    facts: () => batch.facts(),
    close() {},
  };
}

const median = (times: readonly number[]) => [...times].sort((a, b) => a - b)[times.length >> 1]!;
