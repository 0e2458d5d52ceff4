import { type ChildProcess, fork } from 'node:child_process';
import { readLines } from '../runtime/bounded-lines.ts';
import { startOf } from '../runtime/built.mjs';
import { type ErrorCode, RunnerError } from '../runtime/errors.ts';
import { loaderThreads } from '../runtime/loader-threads.ts';
import type { FromTrainer, ToTrainer } from './protocol.ts';

export interface TrainerLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** A trainer process that said it is ready. */
export interface TrainerChild {
  readonly process: ChildProcess;
  /** What TensorFlow gave it, as it says when it is ready. */
  device: 'cpu' | 'gpu';
  /** Takes every message, and the end of the process. One at a time; null between jobs. */
  listener: ((message: FromTrainer | { readonly type: 'ended'; readonly how: string }) => void) | null;
  /** How it ended, or null while it runs, or while something that it said is still on its way. */
  ended: string | null;
  /** Resolves when `ended` is known. */
  readonly gone: Promise<void>;
  /** Whether the process is no more. */
  exited(): boolean;
  send(message: ToTrainer): void;
}

export interface ChildOptions {
  readonly script: string;
  readonly env: NodeJS.ProcessEnv;
  readonly readyWithinMs: number;
  readonly log: TrainerLog;
  readonly onPid: (pid: number) => void;
}

/** What libtensorflow prints before anybody can tell it not to. */
const banner = /absl::InitializeLog|oneDNN custom operations|cpu_feature_guard|TF-TRT|rebuild TensorFlow/;

/** How long what a trainer said last is waited for, once it has ended. */
const lastWordsMs = 500;

/** Starts a trainer. Errors: what it says itself (SetupMissing, DeviceMissing), TrainerCrashed, TrainerStuck. */
export async function startTrainer({ script, env, readyWithinMs, log, onPid }: ChildOptions): Promise<TrainerChild> {
  const begun = Date.now();
  // A group of its own: Ctrl-C in a terminal reaches the worker alone, which ends the job with a checkpoint.
  // Pictures are decoded in the threads of libuv, of which there are four unless something says so before it starts.
  const decoding = String(Math.max(4, loaderThreads(env)));
  const { flags, file } = startOf(script);
  const spawned = fork(file, [], {
    execArgv: [...flags],
    env: { UV_THREADPOOL_SIZE: decoding, ...env },
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const { pid } = spawned;
  if (pid) onPid(pid);
  let lastLine = '';
  let leave = () => {};
  const child: TrainerChild = {
    process: spawned,
    device: 'cpu',
    listener: null,
    ended: null,
    gone: new Promise((resolve) => {
      leave = resolve;
    }),
    exited: () => spawned.exitCode !== null || spawned.signalCode !== null,
    send: (message) => {
      // A message that does not arrive needs no report: the end of the process is one.
      if (spawned.connected) spawned.send(message, () => {});
    },
  };
  const end = (how: string) => {
    child.ended ??= `the trainer process ended ${how}${lastLine ? `; its last words: ${lastLine.slice(0, 300)}` : ''}`;
    leave();
    child.listener?.({ type: 'ended', how: child.ended });
  };
  const relay = (to: (line: string) => void) => (line: string) => {
    if (!banner.test(line)) to(line);
  };
  readLines(
    spawned.stdout!,
    relay((line) => log.info({ trainer: pid }, line)),
  );
  readLines(
    spawned.stderr!,
    relay((line) => {
      if (line.trim()) lastLine = line.trim();
      log.warn({ trainer: pid }, line);
    }),
  );
  spawned.on('message', (message) => child.listener?.(message as FromTrainer));
  spawned.on('error', (error) => end(error.message));
  spawned.on('exit', (code, by) => {
    const how = by === 'SIGKILL' ? 'by SIGKILL (out of memory, or killed)' : by ? `by ${by}` : `with code ${code}`;
    // What it said last is still in its pipes, which a process of its own could hold open for ever.
    const late = setTimeout(() => end(how), lastWordsMs);
    spawned.once('close', () => {
      clearTimeout(late);
      end(how);
    });
  });
  const ready = await new Promise<Extract<FromTrainer, { type: 'ready' }>>((resolve, reject) => {
    const late = setTimeout(() => {
      spawned.kill('SIGKILL');
      reject(
        new RunnerError('TrainerStuck', `the trainer was not ready after ${readyWithinMs / 1000} s; it was ended`),
      );
    }, readyWithinMs);
    child.listener = (message) => {
      clearTimeout(late);
      if (message.type === 'ready') resolve(message);
      else if (message.type === 'failed') reject(new RunnerError(message.code as ErrorCode, message.message));
      else if (message.type === 'ended') reject(new RunnerError('TrainerCrashed', message.how));
    };
  });
  child.listener = null;
  const { device, tensorflow } = ready;
  child.device = device;
  log.info({ trainer: pid, device, tensorflow, seconds: (Date.now() - begun) / 1000 }, 'trainer ready');
  return child;
}
