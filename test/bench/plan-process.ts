import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { freshState, writeState } from '../../src/train/state.ts';
import { TrainingSession } from '../../src/trainer/session.ts';
import { forgetPeak, memoryOf, settle } from './memory.ts';

/**
 * Trains a phase as a trainer does, in a process of its own: real batches from the store, steps, and a snapshot in the
 * middle and at the end. Argument: a file that holds a PlanProcessJob. Prints a PlanProcessAnswer.
 */
export interface PlanProcessJob {
  readonly settings: PhaseSettings;
  readonly indexFile: string;
  readonly folder: string;
  readonly steps: number;
}

/** Resident bytes; peaks begin anew after each. */
export interface PlanProcessAnswer {
  /** Node and TensorFlow, before anything was compiled. */
  readonly base: number;
  /** With all that is loaded and compiled, and the first step. */
  readonly first: number;
  readonly steps: number;
  readonly snapshot: number;
}

const { settings, indexFile, folder, steps } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as PlanProcessJob;
/** A teacher that scores at every step, as untrained as the learner. */
async function teacherIn(folder: string, settings: PhaseSettings): Promise<string> {
  const model = settings.curation!.teacher!.model;
  mkdirSync(folder);
  const { curation: _, ...plain } = settings;
  const own = { ...plain, model, objectives: { sigmoid: { weight: 1 } } };
  await writeState(folder, own, freshState(own));
  return folder;
}
const teacherFolder = settings.curation?.teacher && (await teacherIn(join(folder, 'teacher'), settings));
collectGarbage();
// The library is loaded when it is first used.
tf.scalar(0).dispose();
const base = memoryOf('VmRSS')!;
const peaks = { first: 0, steps: 0, snapshot: 0 };
const note = (of: keyof typeof peaks) => {
  peaks[of] = Math.max(peaks[of], memoryOf('VmHWM')!);
  forgetPeak();
};
forgetPeak();
let seen = 0;
const events = {
  progress() {},
  note: (text: string) => process.stderr.write(`${text}\n`),
  pace() {},
  uploaded: () => null,
  stopWanted() {
    // Where steps are long the loader always has made what it may make ahead.
    if (seen === 0) settle(120_000);
    note(seen++ === 0 ? 'first' : 'steps');
    return false;
  },
  snapshot: () => note('snapshot'),
};
const session = new TrainingSession();
await session.train(
  {
    kind: 'train',
    settings,
    indexFile,
    from: null,
    begins: { step: 0, examples: 0 },
    skip: [],
    ...(teacherFolder && { teacherFolder }),
    toStep: steps,
    checkpointEvery: Math.ceil(steps / 2),
    snapshotFolder: folder,
  },
  events,
);
writeFileSync(process.stdout.fd, `${JSON.stringify({ base, ...peaks })}\n`);
process.exit(0);
