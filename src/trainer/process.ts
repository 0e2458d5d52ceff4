import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { cpuFacts } from '../runtime/cpu.ts';
import { type ErrorCode, isRunnerError, RunnerError } from '../runtime/errors.ts';
import { storeUseOfHelper } from '../runtime/store-use.ts';
import { startTrainer, type TrainerChild, type TrainerLog } from './child.ts';
import { trainerVariables } from './environment.ts';
import { type DeviceLock, lockDevice } from './lock.ts';
import type { FromTrainer, Progress, Snapshot, TrainerJob, TrainStart } from './protocol.ts';

export interface TrainerEvents {
  readonly progress?: (progress: Progress) => void;
  readonly snapshot?: (snapshot: Snapshot) => void;
  readonly note?: (text: string) => void;
  /** Of a train job, after its first step. */
  readonly begun?: (start: TrainStart) => void;
  /** Of a train job under auto: what it found out, and the step at which it ends now. */
  readonly pace?: (pace: Extract<FromTrainer, { type: 'pace' }>['pace'], end: number) => void;
  /** Hears what the trainer's process says while it is this job's, from its start on; the worker's log has it too. */
  readonly log?: TrainerLog;
}

/** The process that owns a device, as the worker sees it. */
export interface TrainerProcess {
  /**
   * Runs a job; one at a time, others wait. An abort asks a train job to stop: it ends with a snapshot.
   * Errors: what the job failed with, TrainerCrashed, TrainerStuck, DeviceBusy, DeviceMissing, SetupMissing.
   */
  run(job: TrainerJob, events?: TrainerEvents, signal?: AbortSignal): Promise<unknown>;
  /**
   * What the trainer has, which is started to say so; `log` hears that as it hears a job.
   * Errors: TrainerCrashed, TrainerStuck, DeviceBusy, DeviceMissing, SetupMissing.
   */
  device(log?: TrainerLog): Promise<'cpu' | 'gpu'>;
  /** Tells the job in progress that its newest snapshot was committed, and how many seconds that took. */
  committed(seconds: number): void;
  /**
   * Whether the trainer holds this state in the graph of these settings, and has so many threads, so that its files
   * need not be fetched. Without settings: whether it holds it in any graph.
   */
  holds(sha256: string, settings?: PhaseSettings, threads?: number): boolean;
  close(): Promise<void>;
}

export interface TrainerProcessOptions {
  /** Names the worker and the trainer that have the device; one file for a device. */
  readonly lockFile: string;
  readonly log: TrainerLog;
  readonly script?: string;
  /** By default what a trainer needs of this process's own. */
  readonly env?: NodeJS.ProcessEnv;
  /** Loading libtensorflow from a cold disk takes its time. */
  readonly readyWithinMs?: number;
  /** A trainer that says nothing for so long is stuck: longer than compiling the largest step, or evaluating. */
  readonly silentForMs?: number;
  /** After a wish to stop: the step in progress and a snapshot. */
  readonly stopWithinMs?: number;
}

const defaultScript = fileURLToPath(new URL('./start.ts', import.meta.url));
const minute = 60_000;

/** Starts the trainer when it is first needed, keeps it warm, and starts it anew after a crash. */
export function createTrainerProcess(options: TrainerProcessOptions): TrainerProcess {
  const { script = defaultScript, env = trainerVariables(), log } = options;
  const { readyWithinMs = 3 * minute, silentForMs = 15 * minute, stopWithinMs = 5 * minute } = options;
  let lock: DeviceLock | null = null;
  let child: TrainerChild | null = null;
  let childThreads = 0;
  /** Content hash of the state that the trainer holds between jobs, and its settings as JSON. */
  let held: { readonly sha256: string; readonly settings: string } | null = null;
  /** The last one of whose end somebody knows: who ended it, or whose job failed with it. */
  let known: TrainerChild | null = null;
  /** Of the job in progress, or the last one. */
  let hears: TrainerLog | undefined;
  let lastId = 0;
  let turn: Promise<unknown> = Promise.resolve();

  const heard: TrainerLog = {
    info: (fields, line) => {
      log.info(fields, line);
      hears?.info(fields, line);
    },
    warn: (fields, line) => {
      log.warn(fields, line);
      hears?.warn(fields, line);
    },
  };
  const hasThreads = (threads: number | undefined) => threads === undefined || threads === childThreads;

  async function ensureChild(threads?: number): Promise<TrainerChild> {
    lock ??= await lockDevice(options.lockFile);
    // What has ended may still have last words in its pipes.
    if (child?.exited()) await child.gone;
    if (child?.ended === null && hasThreads(threads)) return child;
    tellEnd();
    await endChild();
    held = null;
    // TensorFlow reads it when it begins, and never again.
    childThreads = threads ?? cpuFacts(env).threads;
    const own = { ...env, TF_NUM_INTRAOP_THREADS: String(childThreads) };
    child = await startTrainer({ script, env: own, readyWithinMs, log: heard, onPid: (pid) => lock?.setTrainer(pid) });
    return child;
  }

  /** Of one that died between two jobs no job fails: without this a log would never say so. */
  function tellEnd(): void {
    if (!child || child.ended === null || child === known) return;
    known = child;
    heard.warn({ trainer: child.process.pid }, child.ended);
  }

  async function endChild(): Promise<void> {
    if (child?.ended !== null) return;
    known = child;
    const { process: last, gone } = child;
    // The trainer ends by itself when its channel is closed, after the step in progress.
    if (last.connected) last.disconnect();
    const late = setTimeout(() => last.kill('SIGKILL'), 20_000);
    await gone;
    clearTimeout(late);
  }

  const holds = (sha256: string, settings?: PhaseSettings, threads?: number) =>
    held?.sha256 === sha256 &&
    (settings === undefined || held.settings === JSON.stringify(settings)) &&
    hasThreads(threads);

  async function perform(job: TrainerJob, events: TrainerEvents, signal?: AbortSignal): Promise<unknown> {
    const { threads } = job;
    hears = events.log;
    const current = await ensureChild(threads);
    if (
      job.kind === 'train' &&
      job.from &&
      !holds(job.from.sha256, job.settings, threads) &&
      !existsSync(job.from.folder)
    )
      throw new RunnerError('TrainerCrashed', 'the trainer was lost between two shards; its state is fetched again');
    const id = ++lastId;
    held = null;
    const { result, newest } = await converse(current, id, job, events, signal).catch(async (error) => {
      if (isRunnerError(error, 'TrainerCrashed')) {
        // Nobody waits for what a prepare fails with.
        if (job.kind !== 'prepare') known = current;
        // What is left of a library that failed for no reason that we know, nobody knows: the next job has a new one.
        await endChild();
      }
      throw error;
    });
    // The graph has the moments that a snapshot may lack.
    if ((job.kind === 'train' || job.kind === 'begin') && !job.withoutMoments && newest !== null)
      held = { sha256: newest, settings: JSON.stringify(job.settings) };
    return result;
  }

  /** From the start of a job to its end: every message, silence, the wish to stop, the end of the process. */
  async function converse(
    current: TrainerChild,
    id: number,
    job: TrainerJob,
    events: TrainerEvents,
    signal?: AbortSignal,
  ): Promise<{ result: unknown; newest: string | null }> {
    let newest: string | null = null;
    let watch: NodeJS.Timeout | undefined;
    let stopNow = () => {};
    const countStoreUse = storeUseOfHelper();
    try {
      return await new Promise((resolve, reject) => {
        const fail = (code: ErrorCode, message: string, details: Record<string, unknown> = {}) =>
          reject(new RunnerError(code, message, { details }));
        const endAfter = (ms: number, what: string) => {
          clearTimeout(watch);
          watch = setTimeout(() => {
            known = current;
            current.process.kill('SIGKILL');
            fail(
              'TrainerStuck',
              `the trainer ${what} for ${Math.round(ms / 1000)} s; it was ended and is started again`,
            );
          }, ms);
        };
        const alive = () => {
          if (!signal?.aborted) endAfter(silentForMs, 'said nothing');
        };
        const take = (message: Exclude<FromTrainer, { type: 'ready' }>) => {
          alive();
          if (message.type === 'progress') events.progress?.(message.progress);
          else if (message.type === 'note') events.note?.(message.text);
          else if (message.type === 'begun') events.begun?.(message.start);
          else if (message.type === 'stored') countStoreUse(message.use);
          else if (message.type === 'pace') events.pace?.(message.pace, message.end);
          else if (message.type === 'failed') fail(message.code as ErrorCode, message.message, message.details);
          else if (message.type === 'finished') resolve({ result: message.result, newest });
          else {
            newest = message.snapshot.sha256;
            events.snapshot?.(message.snapshot);
          }
        };
        current.listener = (message) => {
          if (message.type === 'ended') fail('TrainerCrashed', message.how);
          else if (message.type !== 'ready' && message.id === id) take(message);
        };
        stopNow = () => {
          current.send({ type: 'stop', id });
          endAfter(stopWithinMs, 'did not stop');
        };
        signal?.addEventListener('abort', stopNow, { once: true });
        alive();
        current.send({ type: 'start', id, job });
        if (signal?.aborted) stopNow();
        if (current.ended !== null) fail('TrainerCrashed', current.ended);
      });
    } finally {
      clearTimeout(watch);
      signal?.removeEventListener('abort', stopNow);
      current.listener = null;
    }
  }

  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const result = turn.then(act);
    turn = result.catch(() => {});
    return result;
  };

  return {
    run: (job, events = {}, signal) => inTurn(() => perform(job, events, signal)),
    device: (log) =>
      inTurn(async () => {
        hears = log;
        return (await ensureChild()).device;
      }),
    committed: (seconds) => child?.send({ type: 'committed', id: lastId, seconds }),
    holds: (sha256, settings, threads) => child?.ended === null && holds(sha256, settings, threads),
    async close() {
      await endChild();
      await lock?.release();
      lock = null;
    },
  };
}
