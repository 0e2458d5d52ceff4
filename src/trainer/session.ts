import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as yieldToEvents } from 'node:timers/promises';
import type { ProgramCache } from '../compile/program-cache.ts';
import { openBatches } from '../data/batches/batches.ts';
import type { BatchFacts } from '../data/batches/types.ts';
import { SkippedMembers } from '../data/index/skipped-members.ts';
import type { StoredIndex } from '../data/index/types.ts';
import type { Pace } from '../recipe/pace.ts';
import type { Position } from '../recipe/position.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { collectGarbage } from '../runtime/collect-garbage.ts';
import { hashJson } from '../runtime/hash.ts';
import { Curator } from '../train/curate.ts';
import { writeSheet } from '../train/curation-figures.ts';
import { checkBatch, checkStep, checkTeacher } from '../train/divergence.ts';
import { drawnFigures } from '../train/drawn-figures.ts';
import { fewSources } from '../train/few-sources.ts';
import { prefetchedBatches } from '../train/host-bytes.ts';
import { openKeptRows } from '../train/kept-rows.ts';
import { laneTexts } from '../train/lane-texts.ts';
import type { WrittenBase } from '../train/state.ts';
import { createTrainer, graphOf } from '../train/step.ts';
import { readUpdates } from '../train/stored-updates.ts';
import { noUpdates } from '../train/updates.ts';
import { isWatched } from '../train/watched.ts';
import { checkProgram, firstOf, type Held, keptBy, load, save, sourcesOf } from './held.ts';
import { keepBase } from './kept-base.ts';
import { Pacing } from './pacing.ts';
import type { BeginJob, PrepareJob, Progress, Snapshot, TrainJob, TrainStart } from './protocol.ts';
import { Rates } from './rates.ts';
import { StepInputs } from './step-inputs.ts';
import { StepReport } from './step-report.ts';
import { walkOf } from './walk.ts';

export interface TrainEvents {
  progress(progress: Progress): void;
  snapshot(snapshot: Snapshot): void;
  note(text: string): void;
  begun?(start: TrainStart): void;
  pace(pace: Pace, end: number): void;
  /** Seconds of an upload that has ended since it was asked before, or null. */
  uploaded(): number | null;
  /** Looked at between steps: true ends the job early, with a snapshot. */
  stopWanted(): boolean;
}

/** How often progress is told, in milliseconds. */
const progressEvery = 500;

/** Of a state that no step of its phase has made. */
const noSteps = { loss: 0, examplesPerSecond: 0, dataWaitShare: 0 } as const;

/** Trains shards one after another, keeping graph, state and batches while the next shard goes on from them. */
export class TrainingSession {
  readonly #programs: ProgramCache | null;
  #held: Held | null = null;
  /** Of the job at hand: loaders go on over several. */
  #note: (text: string) => void = () => {};

  constructor(programs: ProgramCache | null = null) {
    this.#programs = programs;
  }

  /** Trains from `job.from` to `job.toStep`. Errors: NonFinite, DataContract, CheckpointDamaged, DiskFull. */
  async train(job: TrainJob, events: TrainEvents): Promise<void> {
    const { settings } = job;
    this.#note = events.note;
    const jobAt = performance.now();
    const held = await this.#holdGraph(job);
    const compiled = performance.now();
    checkProgram(held, job, events);
    const from = job.from ?? job.begins;
    const fresh = held.sha256 === null || held.sha256 !== (job.from?.sha256 ?? null);
    // What was chosen goes with the state that it was chosen with. Batches alone are made while the state is loaded.
    if (fresh && held.curator) await this.#closeInputs();
    const inputs = await this.#inputsFrom(job, from);
    if (fresh) {
      await held.kept?.close();
      held.kept = job.from && (await openKeptRows(job.from.folder, settings));
      await load(held.trainer, job);
      collectGarbage();
    }
    const loaded = performance.now();
    held.sha256 = null; // Until the next snapshot the graph holds a state that has no name.

    const steps = new PhaseSteps(settings.batches);
    const walk = walkOf(job);
    const seenBefore = (place: number) => job.begins.examples + steps.seenBefore(place - 1 - job.begins.step);
    const skipped = new SkippedMembers([...held.inputs!.corrupt, ...(job.skipped ?? [])]);
    let { filtered } = job;
    const unused = { skipped: () => skipped.size, filtered: () => filtered ?? 0 };
    const report = new StepReport({ ...sourcesOf(held, settings), ...unused }, job.from?.since);
    const bank = job.lane ? laneTexts(held.trainer.program, settings, job.lane.slot) : null;
    const pacing = new Pacing(job);
    let base: WrittenBase | null = null;
    for (let step = from.step + 1; step <= pacing.end; step++) {
      const asked = performance.now();
      const waitedBefore = inputs.waitedForData;
      const { batch, figures: chosen, waitedForChoice } = await inputs.next(step);
      held.inputs!.next = walk.batch(step) + 1;
      const place = walk.place(step);
      let drawn: Readonly<Record<string, number>> = {};
      const look = (facts: BatchFacts) => {
        skipped.add(facts.skipped);
        if (facts.filtered !== undefined) filtered = (filtered ?? 0) + facts.filtered;
        checkBatch(settings, place, facts, batch.count);
        drawn = drawnFigures(facts, batch.count);
      };
      const [seen, keep] = [seenBefore(place), isWatched(place)];
      const { texts, ...stepped } = await firstOf(held, batch, () =>
        held.trainer.stepOn(step, batch, seen, { look, keep }),
      );
      checkStep(settings, place, batch, stepped);
      if (texts) bank?.add(texts);
      const watched = keep ? await held.trainer.watchOn(step, batch, seen) : null;
      batch.close();
      const figures = { ...drawn, ...chosen };
      const waited = { data: inputs.waitedForData - waitedBefore, choice: waitedForChoice };
      if (watched && job.information) checkTeacher(settings, job.information, place, batch, watched);
      const done = performance.now();
      if (step === from.step + 1)
        events.begun?.({ compile: compiled - jobAt, state: loaded - compiled, step: done - loaded });
      const took = done - asked;
      held.rates.add({ count: seenBefore(place + 1) - seen, waited, took }, batch.length ?? null);
      report.stepped(place, { ...stepped, objectives: { ...stepped.objectives, ...fewSources(figures) } }, watched);
      const position = { step: place, examples: seenBefore(place + 1) };
      const stop = events.stopWanted();
      pacing.stepped(took, batch.length ?? null);
      const upload = events.uploaded();
      const pace = upload === null ? null : pacing.committed(step, upload);
      if (pace) events.pace(pace, pacing.end);
      const last = step === pacing.end || stop;
      if (pacing.snapshotDue(step) || last) {
        const waiting = await inputs.waiting(step + 1);
        if (last) bank?.leave();
        const began = performance.now();
        const metrics = report.metrics();
        // Records come before the checkpoint that they are kept with.
        events.progress(report.progress(position));
        const folder = join(job.snapshotFolder, `step-${String(step).padStart(8, '0')}`);
        await rm(folder, { recursive: true, force: true });
        await mkdir(folder, { recursive: true });
        const written = await save(held, job, folder, step, waiting, base);
        base ??= await keepBase(written.state, folder, job.snapshotFolder);
        collectGarbage();
        pacing.taken(performance.now() - began);
        held.sha256 = last && !job.withoutMoments ? written.sha256 : null;
        const reports = held.curator ? await writeSheet(folder, settings, step, held.curator.extremes) : [];
        const told = { skipped: skipped.list, ...(filtered !== undefined && { filtered }), reports };
        events.snapshot({ ...position, folder, ...written, metrics, ...told });
      }
      if (step === from.step + 1 || report.due(progressEvery)) events.progress(report.progress(position));
      if (stop) return;
      // A step blocks the event loop; here messages, the end of the worker and loaders get their turn.
      await yieldToEvents();
    }
  }

  /** A snapshot of the state that a phase begins with. */
  async begin(
    { settings, from, at, teacherFolder, snapshotFolder, withoutMoments = false }: BeginJob,
    take: (made: Snapshot) => void,
  ) {
    const held = await this.#holdGraph({ settings, from, ...(teacherFolder !== undefined && { teacherFolder }) });
    await this.#closeInputs();
    await held.kept?.close();
    held.kept = from && (await openKeptRows(from.folder, settings));
    await load(held.trainer, { settings, from });
    collectGarbage();
    await rm(snapshotFolder, { recursive: true, force: true });
    await mkdir(snapshotFolder, { recursive: true });
    const written = await save(held, { settings, withoutMoments }, snapshotFolder, at.step, null);
    held.sha256 = withoutMoments ? null : written.sha256;
    take({ ...at, folder: snapshotFolder, ...written, metrics: noSteps, skipped: [], reports: [] });
  }

  /** Has the step of a phase ready that nothing is chosen for, and its first batches. */
  async prepare(job: PrepareJob, note: (text: string) => void): Promise<void> {
    this.#note = note;
    const before = this.#held;
    const held = await this.#holdGraph({ settings: job.settings });
    await this.#inputsFrom({ ...job, from: null }, job.from);
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

  async #inputsFrom(
    job: Pick<TrainJob, 'settings' | 'indexFile' | 'begins' | 'skip' | 'scoresFile' | 'from' | 'lane'>,
    { step }: Position,
  ): Promise<StepInputs> {
    const { skip, settings } = job;
    const held = this.#held!;
    const first = walkOf(job).batch(step + 1);
    const index = JSON.parse(await readFile(job.indexFile, 'utf8')) as StoredIndex;
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
        // Phases that branch take turns, and each turn opens its batches again.
        keepThread: true,
        note: (text) => this.#note(text),
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
