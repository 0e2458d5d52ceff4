import { readFile } from 'node:fs/promises';
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { openBatches } from '../data/batches/batches.ts';
import type { Batch } from '../data/batches/types.ts';
import type { DataIndex } from '../data/index/types.ts';
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
  const { settings } = job;
  const batches = await firstOfEachShape(job, events);
  if (batches === null) return null;
  const trainer = createTrainer(settings);
  let curator: Curator | null = null;
  try {
    curator = await Curator.open(settings, trainer.program, job.teacherFolder);
    trainer.program.write(freshState(settings));
    const medians: number[] = [];
    for (const batch of batches) {
      const times: number[] = [];
      for (let run = 0; run < warmUp + counted; run++) {
        if (events.stopWanted()) return null;
        // A choice may take the arrays that it is made from away with it.
        const fresh = curator ? { ...batch, parts: structuredClone(batch.parts) } : batch;
        const began = performance.now();
        const chosen = curator ? curator.take(await curator.choose(1, fresh), fresh).batch : fresh;
        trainer.step(1, chosen, 0);
        times.push(performance.now() - began);
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

async function firstOfEachShape(
  { settings, indexFile, skip, scoresFile }: MeasureJob,
  { note, stopWanted }: MeasureEvents,
): Promise<readonly Batch[] | null> {
  const index = JSON.parse(await readFile(indexFile, 'utf8')) as DataIndex;
  const shapes = new PhaseSteps(settings.batches).shapes().length;
  const plan = settings.batches;
  const source = openBatches({ index, plan, scores: scoresFile ?? null, firstBatch: 0, skip, prefetch: 1, note });
  const found = new Map<number | null, Batch>();
  try {
    for (let i = 0; i < most && found.size < shapes; i++) {
      if (stopWanted()) return null;
      const batch = await source.next();
      const { length = null } = batch;
      if (!found.has(length)) found.set(length, batch);
    }
  } finally {
    await source.close();
  }
  return [...found.values()];
}

const median = (times: readonly number[]) => [...times].sort((a, b) => a - b)[times.length >> 1]!;
