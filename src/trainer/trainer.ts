import { join } from 'node:path';
import { ProgramCache } from '../compile/program-cache.ts';
import { Learning } from '../evaluate/decoder/learning.ts';
import { evaluateModel } from '../evaluate/evaluate-model.ts';
import { runFigure } from '../evaluate/evaluators/run-figure.ts';
import { Embedding } from '../evaluate/features/embedding.ts';
import { makeSheet } from '../evaluate/sheet/make-sheet.ts';
import { deviceProblem, hasNvidiaDriver } from '../runtime/device.ts';
import { diskError } from '../runtime/disk.ts';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import { paths } from '../runtime/paths.ts';
import { listenToThreads, takeRest } from '../runtime/store-use.ts';
import { nodeBackend, tf } from '../runtime/tensorflow.ts';
import { variable } from '../runtime/variables.ts';
import { Scoring } from '../scoring/scoring.ts';
import { measureStep } from './measure-step.ts';
import type { FromTrainer, ToTrainer, TrainerJob } from './protocol.ts';
import { TrainingSession } from './session.ts';

/**
 * The trainer process: the one that owns TensorFlow and the device. The worker starts it, sends jobs one at a
 * time, and takes what it reports; it never touches checkpoints in the bucket. It ends with its worker.
 */

const send = (message: FromTrainer) => {
  if (process.connected) process.send!(message);
};

// Without its worker nobody would take the result: a trainer never outlives it by more than the step in progress.
process.on('disconnect', () => process.exit(0));

// Before TensorFlow is loaded, which reads its flags then.
const programs = ProgramCache.open(join(paths().cache, 'programs'));
const session = new TrainingSession(programs);
const scoring = new Scoring();
const embedding = new Embedding();
const learning = new Learning();
/** Jobs that were begun and have not ended. */
const stops = new Map<number, AbortController>();
let uploaded: { readonly id: number; readonly seconds: number } | null = null;
let queue = Promise.resolve();

// What loaders read ahead counts for the job at hand.
listenToThreads();
const storeUseEvery = 1000;
function tellStoreUse(id: number): void {
  const use = takeRest();
  if (use.reads + use.writes > 0) send({ type: 'stored', id, use });
}

process.on('message', (message: ToTrainer) => {
  if (message.type === 'stop') return stops.get(message.id)?.abort();
  if (message.type === 'committed') {
    uploaded = message;
    return;
  }
  const { id, job } = message;
  stops.set(id, new AbortController());
  queue = queue.then(() => run(id, job)).finally(() => stops.delete(id));
});

async function run(id: number, job: TrainerJob): Promise<void> {
  const telling = setInterval(() => tellStoreUse(id), storeUseEvery);
  try {
    const result = await perform(id, job);
    tellStoreUse(id);
    send({ type: 'finished', id, result });
  } catch (thrown) {
    tellStoreUse(id);
    const error = diskError(thrown, (thrown as NodeJS.ErrnoException).path ?? 'a snapshot');
    // Half-trained state has no name: the next job loads a checkpoint.
    await session.close().catch(() => {});
    scoring.close();
    embedding.close();
    await learning.close().catch(() => {});
    if (isRunnerError(error)) {
      send({ type: 'failed', id, code: error.code, message: error.message, details: { ...error.details } });
    } else {
      const { message, stack } = error as Error;
      console.error(stack);
      const code = /ResourceExhausted|OOM|out of memory/i.test(message) ? 'DeviceMissing' : 'TrainerCrashed';
      send({ type: 'failed', id, code, message: message.split('\n')[0]!, details: {} });
    }
  } finally {
    clearInterval(telling);
  }
}

async function perform(id: number, job: TrainerJob): Promise<unknown> {
  const note = (text: string) => send({ type: 'note', id, text });
  const { signal } = stops.get(id)!;
  if (job.kind !== 'learn') await learning.close();
  if (job.kind === 'score') {
    embedding.close();
    return scoring.score(job, { note, signal });
  }
  scoring.close();
  if (job.kind === 'embed') return embedding.embed(job, { note, signal });
  embedding.close();
  if (job.kind === 'learn') return learning.learn(job, { note, signal });
  if (job.kind === 'sheet') return makeSheet(job, { note, signal });
  if (job.kind === 'figure') return runFigure(job, { note, signal });
  if (job.kind === 'evaluate') return evaluateModel(job, note);
  if (job.kind === 'measure') {
    // The device is to itself what it will be for training.
    await session.close();
    return measureStep(job, { note, stopWanted: () => signal.aborted });
  }
  if (job.kind === 'prepare') return session.prepare(job, note);
  if (job.kind === 'begin') {
    await session.begin(job, (snapshot) => send({ type: 'snapshot', id, snapshot }));
    return null;
  }
  await session.train(job, {
    progress: (progress) => send({ type: 'progress', id, progress }),
    snapshot: (snapshot) => send({ type: 'snapshot', id, snapshot }),
    note,
    begun: (start) => send({ type: 'begun', id, start }),
    pace: (pace, end) => send({ type: 'pace', id, pace, end }),
    stopWanted: () => signal.aborted,
    uploaded() {
      const seconds = uploaded?.id === id ? uploaded.seconds : null;
      uploaded = null;
      return seconds;
    },
  });
  return null;
}

const device = nodeBackend().isUsingGpuDevice ? 'gpu' : 'cpu';
const problem = deviceProblem(device, variable('SIGLIP2_DEVICE'), hasNvidiaDriver());
if (problem) throw new RunnerError('DeviceMissing', problem);
send({
  type: 'ready',
  device,
  tensorflow: nodeBackend().binding.TF_Version ?? tf.version_core,
});
