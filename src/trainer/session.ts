import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import { openBatches } from '../data/batches/batches.ts';
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
import { checkBatch, checkStep } from '../train/divergence.ts';
import { fewSources } from '../train/few-sources.ts';
import { prefetchedBatches } from '../train/host-bytes.ts';
import { type KeptChoice, keptTensors, readKept } from '../train/kept-choice.ts';
import { freshState, readState, streamState } from '../train/state.ts';
import { createTrainer, type Trainer } from '../train/step.ts';
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

/** How often progress is told, in milliseconds. */
const progressEvery = 500;

/** What stays warm between the shards of a phase. */
interface Held {
  readonly settings: string;
  readonly trainer: Trainer;
  /** Chooses what is trained on, in a phase of curation. */
  readonly curator: Curator | null;
  readonly rates: Rates;
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
  #held: Held | null = null;

  /** Trains from `job.from` to `job.toStep`. Errors: NonFinite, DataContract, CheckpointDamaged, DiskFull. */
  async train(job: TrainJob, events: TrainEvents): Promise<void> {
    const { settings } = job;
    const held = await this.#holdGraph(job, events);
    const from = job.from ?? job.begins;
    if (held.sha256 === null || held.sha256 !== (job.from?.sha256 ?? null)) {
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
      const waitedBefore = inputs.waitedForData;
      const { batch, figures, waitedForChoice } = await inputs.next(step);
      held.inputs!.next = step - job.begins.step;
      const stepped = await held.trainer.stepOn(step, batch, seenBefore(step), (facts) => {
        skipped.add(facts.skipped);
        checkBatch(settings, step, facts, batch.count);
      });
      batch.close();
      checkStep(settings, step, batch, stepped);
      const waited = { data: inputs.waitedForData - waitedBefore, choice: waitedForChoice };
      const took = performance.now() - asked;
      held.rates.add({ count: seenBefore(step + 1) - seenBefore(step), waited, took }, batch.length ?? null);
      report.stepped(step, { ...stepped, objectives: { ...stepped.objectives, ...fewSources(figures) } });
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
        const written = await save(held.trainer, job, folder, waiting);
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

  async close(): Promise<void> {
    await this.#closeInputs();
    await this.#held?.curator?.close();
    this.#held?.trainer.program.dispose();
    this.#held = null;
  }

  async #holdGraph({ settings, teacherFolder, measured }: TrainJob, events: TrainEvents): Promise<Held> {
    const hash = hashJson(settings);
    if (this.#held?.settings !== hash) {
      await this.close();
      const trainer = createTrainer(settings);
      const { hash: program } = trainer.program;
      // Another version of the code may record another graph. What a phase began with holds to its end.
      if (measured !== undefined && measured !== program)
        events.note(
          `XLA stays ${settings.xla ?? 'off'} as the phase began, though the step is no longer the program that was ` +
            `measured then (${measured.slice(0, 12)}, now ${program.slice(0, 12)})`,
        );
      const curator = await Curator.open(settings, trainer.program, teacherFolder);
      this.#held = { settings: hash, trainer, curator, rates: new Rates(), sha256: null, inputs: null };
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
        prefetch: prefetchedBatches,
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

const save = ({ program }: Trainer, { settings }: TrainJob, folder: string, kept: KeptChoice | null) =>
  streamState(folder, settings, program.read, kept ? keptTensors(kept) : []);

const keptBy = async ({ from, settings }: TrainJob): Promise<KeptChoice | null> =>
  from && settings.curation?.overlap ? readKept(from.folder) : null;
