import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { Values } from '../../src/compile/definition.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { rowsOfSlot } from '../../src/recipe/text-bank.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { freshState, readState, writeState } from '../../src/train/state.ts';
import { updateTensors } from '../../src/train/stored-updates.ts';
import { atRest } from '../../src/train/updates.ts';
import type { FromTrainer, ToTrainer, TrainJob } from '../../src/trainer/protocol.ts';
import { walkOf } from '../../src/trainer/walk.ts';

/**
 * Speaks the trainer's protocol for rounds without TensorFlow: its state are the files of a real one, and a step moves every
 * number of it by a pure rule of the number, its batch and its place on the schedule. Not linear, so that the mean of two
 * replicas is not what one would have come to.
 */
const fault = JSON.parse(process.env.FAKE_FAULT ?? '{}') as {
  /** Killed before the step with this batch; with a file it happens once: the file says that it has happened. */
  readonly crash?: { readonly batch: number; readonly once?: string };
  readonly nonFinite?: { readonly batch: number };
  readonly stepMs?: number;
  /** What it says of how fast it is. */
  readonly examplesPerSecond?: number;
  /** Of each tensor the first number moves alone: files are as large, and steps of a large state cost nothing. */
  readonly still?: boolean;
  /** A file that gets a line for each lane. */
  readonly lanes?: string;
};
const send = (message: FromTrainer) => void process.send?.(message);
process.on('disconnect', () => process.exit(0));
let stop: number | null = null;
process.on('message', (message: ToTrainer) => {
  if (message.type === 'stop') stop = message.id;
  if (message.type === 'start') void run(message.id, message.job as never);
});

interface FakeJob extends Omit<TrainJob, 'kind'> {
  readonly kind: 'train' | 'prepare' | 'begin';
  readonly at: { readonly step: number; readonly examples: number };
}

async function run(id: number, job: FakeJob): Promise<void> {
  if (job.kind === 'prepare') return send({ type: 'finished', id, result: null });
  const { settings, snapshotFolder: folder } = job;
  const state = job.from ? await readState(job.from.folder, settings) : freshState(settings);
  mkdirSync(folder, { recursive: true });
  const beside = job.withoutMoments
    ? { withoutMoments: true, tensors: updateTensors(atRest(phaseState(settings), 0)) }
    : {};
  const metrics = { loss: 1, examplesPerSecond: fault.examplesPerSecond ?? 10, dataWaitShare: 0 };
  if (job.kind === 'begin') {
    const written = await writeState(folder, settings, state, beside);
    send({ type: 'snapshot', id, snapshot: { ...job.at, folder, ...written, metrics, skipped: [], reports: [] } });
    return send({ type: 'finished', id, result: null });
  }
  const walk = walkOf(job);
  if (fault.lanes) appendFileSync(fault.lanes, `${job.lane!.slot} of ${job.lane!.from} to ${job.lane!.to}\n`);
  for (let step = job.from!.step + 1; step <= job.toStep && stop !== id; step++) {
    const [batch, place] = [walk.batch(step), walk.place(step)];
    const skipped = job.skip.filter((one) => one <= batch).length;
    if (fault.crash?.batch === batch && !(fault.crash.once && existsSync(fault.crash.once))) {
      if (fault.crash.once) writeFileSync(fault.crash.once, '');
      process.kill(process.pid, 'SIGKILL');
    }
    if (fault.nonFinite?.batch === batch + skipped) {
      const details = { step: place, batch: batch + skipped };
      return send({ type: 'failed', id, code: 'NonFinite', message: 'the loss is NaN', details });
    }
    if (fault.stepMs) await new Promise((done) => setTimeout(done, fault.stepMs));
    moved(state, settings, job.lane?.slot ?? 0, batch + skipped, place);
    const examples = place * settings.batches.batch;
    const values = { ...metrics, loss: 10 / place };
    const records = [{ step: place, time: Date.now(), values }];
    send({
      type: 'progress',
      id,
      progress: { step: place, examples, ...values, objectives: {}, figures: {}, records },
    });
  }
  const written = await writeState(folder, settings, state, beside);
  const at = { step: job.toStep, examples: job.toStep * settings.batches.batch };
  const ended = { ...at, folder, ...written, metrics: { ...metrics, loss: 10 / job.toStep }, skipped: [], reports: [] };
  send({ type: 'snapshot', id, snapshot: ended });
  send({ type: 'finished', id, result: null });
}

/**
 * Of a table of tokens a batch moves one row: most rows are touched by some replicas alone, some by none. Of a bank of texts a
 * slot moves its own.
 */
function moved(state: Values, settings: PhaseSettings, slot: number, batch: number, place: number): void {
  const { text, vision } = settings.model;
  const { bank } = settings.objectives.sigmoid ?? {};
  for (const [name, values] of Object.entries(state)) {
    let [from, numbers] = [0, values.length];
    if (name.endsWith('token_embedding.weight')) [from, numbers] = [(batch % 7) * text.width, text.width];
    if (bank && name === 'state/textBank')
      [from, numbers] = [rowsOfSlot(bank, slot).first * vision.width, bank.rows * vision.width];
    const count = fault.still ? 1 : numbers;
    for (let i = from; i < from + count; i++)
      values[i] = Math.fround(0.9 * values[i]! + Math.sin(values[i]! + batch + 1) / (10 + place) + i * 1e-6);
  }
}

send({ type: 'ready', device: 'cpu', tensorflow: 'none' });
