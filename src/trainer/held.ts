import type { BatchRows } from '../data/batches/types.ts';
import type { CorruptMember } from '../data/index/types.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import type { Curator } from '../train/curate.ts';
import { type KeptChoice, keptTensors, readKept } from '../train/kept-choice.ts';
import type { KeptRows } from '../train/kept-rows.ts';
import { phaseState } from '../train/phase-state.ts';
import { freshState, readState, streamState, type WrittenBase } from '../train/state.ts';
import type { Trainer } from '../train/step.ts';
import { updateTensors } from '../train/stored-updates.ts';
import { atRest, countedAt } from '../train/updates.ts';
import type { TrainJob } from './protocol.ts';
import type { Rates } from './rates.ts';
import type { StepInputs } from './step-inputs.ts';
import type { ReportSources } from './step-report.ts';

/** What stays warm between the shards of a phase. */
export interface Held {
  readonly settings: string;
  /** What the graph depends on. */
  readonly graph: string;
  readonly trainer: Trainer;
  /** Chooses what is trained on, in a phase of curation. */
  readonly curator: Curator | null;
  readonly rates: Rates;
  /** Rows of the state that was loaded which the phase does not train. */
  kept: KeptRows | null;
  /** Whether it was said that the program is not the one that was measured, or can't be: that had no counts of its own. */
  checked: boolean;
  /** Shapes that have run, by their length. */
  readonly ran: Set<number | null>;
  /** Content hash of the state in the graph, or null when no snapshot was taken of it. */
  sha256: string | null;
  /** `index`: of which data, and without which batches. `corrupt`: what it could not use. `next`: the batch of the step after. */
  inputs: {
    readonly of: StepInputs;
    readonly index: string;
    readonly corrupt: readonly CorruptMember[];
    next: number;
  } | null;
}

/** Another version of the code may record another graph. What a phase began with holds to its end; it is said once. */
export function checkProgram(
  held: Held,
  { measured, settings }: TrainJob,
  { note }: { note(text: string): void },
): void {
  const { hash } = held.trainer.program;
  if (held.checked || measured === undefined || measured === hash) return;
  held.checked = true;
  note(
    `it stays in ${settings.precision} with XLA ${settings.xla ?? 'off'} as the phase began, though the step is no ` +
      `longer the program that was measured then (${measured.slice(0, 12)}, now ${hash.slice(0, 12)})`,
  );
}

/** The first step of a shape compiles it, and shows whether what a cache had is any good. */
export async function firstOf<T>(
  { ran, trainer: { program } }: Held,
  batch: BatchRows,
  step: () => Promise<T>,
): Promise<T> {
  const length = batch.length ?? null;
  if (ran.has(length)) return step();
  try {
    const stepped = await step();
    ran.add(length);
    program.keep();
    return stepped;
  } catch (error) {
    program.forget();
    throw error;
  }
}

// Functions of their own, so that nothing holds the arrays when they return.

/** Writes the state that a job goes on from into the graph, or a fresh one. */
export async function load(
  { program }: Trainer,
  { from, settings }: Pick<TrainJob, 'from' | 'settings'>,
): Promise<void> {
  program.write(from ? await readState(from.folder, settings) : freshState(settings));
}

/** What the figures of a step are taken from. */
export const sourcesOf = (
  { trainer, curator, rates }: Held,
  { objectives }: PhaseSettings,
): Omit<ReportSources, 'skipped' | 'filtered'> => ({
  rates,
  chooses: curator !== null,
  // No step of the others moves them.
  scalars: () => (objectives.sigmoid ? headScalars(trainer) : {}),
});

function headScalars({ program }: Trainer) {
  const { logit_scale, logit_bias } = program.read(['logit_scale', 'logit_bias']);
  return { temperature: Math.exp(logit_scale![0]!), logitBias: logit_bias![0]! };
}

/** Streams the state in the graph into files of a snapshot. */
export function save(
  { trainer, kept }: Held,
  { settings, lane, withoutMoments = false }: Pick<TrainJob, 'settings' | 'lane' | 'withoutMoments'>,
  folder: string,
  step: number,
  choice: KeptChoice | null,
  base: WrittenBase | null = null,
) {
  const after = trainer.updatesAfter(step);
  const phase = phaseState(settings);
  // What comes of a round is called by its end, whatever its slots have counted to.
  const updates = withoutMoments ? atRest(phase, step) : lane ? countedAt(phase, after, lane.to) : after;
  const tensors = [...(choice ? keptTensors(choice) : []), ...updateTensors(updates)];
  return streamState(folder, settings, trainer.program.read, { tensors, kept, base, withoutMoments });
}

/** The choice that was kept beside the state, in a phase that chooses while a step is made. */
export const keptBy = async ({ from, settings }: Pick<TrainJob, 'from' | 'settings'>): Promise<KeptChoice | null> =>
  from && settings.curation?.overlap ? readKept(from.folder) : null;
