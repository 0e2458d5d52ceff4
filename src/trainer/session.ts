import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { ProgramCache } from '../compile/program-cache.ts';
import { openBatches } from '../data/batches/batches.ts';
import type { Batch } from '../data/batches/types.ts';
import { SkippedMembers } from '../data/index/skipped-members.ts';
import type { CorruptMember, DataIndex } from '../data/index/types.ts';
import type { Pace } from '../recipe/pace.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import type { Position } from '../recipe/position.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { collectGarbage } from '../runtime/collect-garbage.ts';
import { hashJson } from '../runtime/hash.ts';
import { Curator } from '../train/curate.ts';
import { writeSheet } from '../train/curation-figures.ts';
import { checkBatch, checkStep, checkTeacher } from '../train/divergence.ts';
import { fewSources } from '../train/few-sources.ts';
import { type KeptChoice, keptTensors, readKept } from '../train/kept-choice.ts';
import { type KeptRows, openKeptRows } from '../train/kept-rows.ts';
import { freshState, readState, streamState } from '../train/state.ts';
import { createTrainer, graphOf, type Trainer } from '../train/step.ts';
import { readUpdates, updateTensors } from '../train/stored-updates.ts';
import { noUpdates } from '../train/updates.ts';
import { isWatched } from '../train/watched.ts';
import { Pacing } from './pacing.ts';
import type { Progress, Snapshot, TrainJob } from './protocol.ts';
import { Rates } from './rates.ts';
import { StepInputs } from './step-inputs.ts';
import { type ReportSources, StepReport } from './step-report.ts';

export interface TrainEvents {
  progress(progress: Progress): void;
  snapshot(snapshot: Snapshot): void;
  note(text: string): void;
  pace(pace: Pace, end: number): void;
  /** Seconds of an upload that has ended since it was asked before, or null. */
  uploaded(): number | null;
  /** Looked at between steps: true ends the job early, with a snapshot. */
  stopWanted(): boolean;
}

/** Batches that wait ready while a step runs. */
const prefetch = 3;
/** How often progress is told, in milliseconds. */
const progressEvery = 500;

/** What stays warm between the shards of a phase. */
interface Held {
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

/** Trains shards one after another, keeping graph, state and batches while the next shard goes on from them. */
export class TrainingSession {
  readonly #programs: ProgramCache | null;
  #held: Held | null = null;

  constructor(programs: ProgramCache | null = null) {
    this.#programs = programs;
  }

  /** Trains from `job.from` to `job.toStep`. Errors: NonFinite, DataContract, CheckpointDamaged, DiskFull. */
  async train(job: TrainJob, events: TrainEvents): Promise<void> {
    const { settings } = job;
    const held = await this.#holdGraph(job);
    checkProgram(held, job, events);
    const from = job.from ?? job.begins;
    if (held.sha256 === null || held.sha256 !== (job.from?.sha256 ?? null)) {
      await held.kept?.close();
      held.kept = job.from && (await openKeptRows(job.from.folder, settings));
      await load(held.trainer, job);
      await this.#closeInputs();
      collectGarbage();
    }
    held.sha256 = null; // Until the next snapshot the graph holds a state that has no name.
    const inputs = await this.#inputsFrom(job, from, events);

    const steps = new PhaseSteps(settings.batches);
    const seenBefore = (step: number) => job.begins.examples + steps.seenBefore(step - 1 - job.begins.step);
    const skipped = new SkippedMembers([...held.inputs!.corrupt, ...(job.skipped ?? [])]);
    const report = new StepReport({ ...sourcesOf(held, settings), skipped: () => skipped.size }, job.from?.since);
    const pacing = new Pacing(job);
    for (let step = from.step + 1; step <= pacing.end; step++) {
      const asked = performance.now();
      const { batch, figures, waited } = await inputs.next(step);
      held.inputs!.next = step - job.begins.step;
      skipped.add(batch.skipped);
      checkBatch(settings, step, batch);
      const stepped = firstOf(held, batch, () => held.trainer.step(step, batch, seenBefore(step)));
      checkStep(settings, step, batch, stepped);
      const watched = isWatched(step) ? held.trainer.watch(step, batch, seenBefore(step)) : null;
      if (watched && job.information) checkTeacher(settings, job.information, step, batch, watched);
      const took = performance.now() - asked;
      held.rates.add({ count: seenBefore(step + 1) - seenBefore(step), waited, took }, batch.length ?? null);
      report.stepped(step, { ...stepped, objectives: { ...stepped.objectives, ...fewSources(figures) } }, watched);
      const position = { step, examples: seenBefore(step + 1) };
      const stop = events.stopWanted();
      pacing.stepped(took, batch.length ?? null);
      const upload = events.uploaded();
      const pace = upload === null ? null : pacing.committed(step, upload);
      if (pace) events.pace(pace, pacing.end);
      const last = step === pacing.end || stop;
      if (pacing.snapshotDue(step) || last) {
        const waiting = await inputs.waiting(step + 1);
        const began = performance.now();
        const metrics = report.metrics();
        // Records come before the checkpoint that they are kept with.
        events.progress(report.progress(position));
        const folder = join(job.snapshotFolder, `step-${String(step).padStart(8, '0')}`);
        await rm(folder, { recursive: true, force: true });
        await mkdir(folder, { recursive: true });
        const written = await save(held, job, folder, step, waiting);
        collectGarbage();
        pacing.taken(performance.now() - began);
        held.sha256 = last ? written.sha256 : null;
        const reports = held.curator ? [await writeSheet(folder, settings, step, held.curator.extremes)] : [];
        events.snapshot({ ...position, folder, ...written, metrics, skipped: skipped.list, reports });
      }
      if (step === from.step + 1 || report.due(progressEvery)) events.progress(report.progress(position));
      if (stop) return;
      // A step blocks the event loop; here messages, the end of the worker and loaders get their turn.
      await yieldToEvents();
    }
  }

  /** Has the step of a phase ready that nothing is chosen for. */
  async prepare(settings: PhaseSettings): Promise<void> {
    const before = this.#held;
    const held = await this.#holdGraph({ settings });
    if (held !== before) held.trainer.program.plan();
  }

  async close(): Promise<void> {
    await this.#closeInputs();
    await this.#held?.curator?.close();
    await this.#held?.kept?.close();
    this.#held?.trainer.program.dispose();
    this.#held = null;
  }

  async #holdGraph({
    settings,
    from,
    teacherFolder,
  }: Pick<TrainJob, 'settings' | 'teacherFolder'> & Partial<Pick<TrainJob, 'from'>>): Promise<Held> {
    const hash = hashJson(settings);
    const isHeld = this.#held?.settings === hash;
    // Which counts there are, no one knows before the state is at hand; or it is held, and need not lie on the disk.
    if (isHeld && (from === undefined || (from && this.#held!.sha256 === from.sha256))) return this.#held!;
    const { step = 0, within = false } = from ?? {};
    const updates = from ? await readUpdates(from.folder, settings, { step, within }) : noUpdates;
    const graph = graphOf(settings, updates);
    if (this.#held?.graph === graph) this.#held.trainer.begin(updates);
    else {
      await this.close();
      const trainer = createTrainer(settings, { updates }, this.#programs);
      const curator = await Curator.open(settings, trainer.program, teacherFolder);
      this.#held = {
        settings: hash,
        graph,
        trainer,
        curator,
        rates: new Rates(),
        kept: null,
        checked: Object.keys(updates.own).length > 0,
        ran: new Set(),
        sha256: null,
        inputs: null,
      };
    }
    return this.#held!;
  }

  async #inputsFrom(job: TrainJob, { step }: Position, events: TrainEvents): Promise<StepInputs> {
    const { skip, settings, begins } = job;
    const held = this.#held!;
    const first = step - begins.step;
    const index = JSON.parse(await readFile(job.indexFile, 'utf8')) as DataIndex;
    const { fingerprint, corrupt } = index;
    const of = `${fingerprint} without ${skip}`;
    if (held.inputs?.index !== of || held.inputs.next !== first) {
      const kept = held.inputs ? await held.inputs.of.waiting(step + 1) : await keptBy(job);
      await this.#closeInputs();
      const source = openBatches({
        index,
        plan: settings.batches,
        scores: job.scoresFile ?? null,
        firstBatch: first,
        skip,
        prefetch,
        note: events.note,
      });
      const inputs = new StepInputs({ settings, source, fingerprint, curator: held.curator, kept });
      held.inputs = { of: inputs, index: of, corrupt, next: first };
      held.rates.opened();
    }
    return held.inputs.of;
  }

  async #closeInputs(): Promise<void> {
    await this.#held?.inputs?.of.close();
    if (this.#held) this.#held.inputs = null;
  }
}

/** Another version of the code may record another graph. What a phase began with holds to its end; it is said once. */
function checkProgram(held: Held, { measured, settings }: TrainJob, { note }: TrainEvents): void {
  const { hash } = held.trainer.program;
  if (held.checked || measured === undefined || measured === hash) return;
  held.checked = true;
  note(
    `XLA stays ${settings.xla ?? 'off'} as the phase began, though the step is no longer the program that was ` +
      `measured then (${measured.slice(0, 12)}, now ${hash.slice(0, 12)})`,
  );
}

/** The first step of a shape compiles it, and shows whether what a cache had is any good. */
function firstOf<T>({ ran, trainer: { program } }: Held, batch: Batch, step: () => T): T {
  const length = batch.length ?? null;
  if (ran.has(length)) return step();
  try {
    const stepped = step();
    ran.add(length);
    program.keep();
    return stepped;
  } catch (error) {
    program.forget();
    throw error;
  }
}

// Functions of their own, so that nothing holds the arrays when they return.

async function load({ program }: Trainer, { from, settings }: TrainJob): Promise<void> {
  program.write(from ? await readState(from.folder, settings) : freshState(settings));
}

const sourcesOf = (
  { trainer, curator, rates }: Held,
  { objectives }: PhaseSettings,
): Omit<ReportSources, 'skipped'> => ({
  rates,
  chooses: curator !== null,
  // No step of the others moves them.
  scalars: () => (objectives.sigmoid ? headScalars(trainer) : {}),
});

function headScalars({ program }: Trainer) {
  const { logit_scale, logit_bias } = program.read(['logit_scale', 'logit_bias']);
  return { temperature: Math.exp(logit_scale![0]!), logitBias: logit_bias![0]! };
}

function save(
  { trainer, kept }: Held,
  { settings }: TrainJob,
  folder: string,
  step: number,
  choice: KeptChoice | null,
) {
  const tensors = [...(choice ? keptTensors(choice) : []), ...updateTensors(trainer.updatesAfter(step))];
  return streamState(folder, settings, trainer.program.read, { tensors, kept });
}

const keptBy = async ({ from, settings }: TrainJob): Promise<KeptChoice | null> =>
  from && settings.curation?.overlap ? readKept(from.folder) : null;
