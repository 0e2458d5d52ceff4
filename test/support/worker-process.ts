import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { workerStart } from './start.ts';

/** What `npm run worker` runs, without npm; it is killed when this process ends. */
export interface WorkerProcess {
  readonly pid: number;
  /** Its log so far, a line each. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** What it said beside its log. */
  readonly said: () => string;
  readonly running: () => boolean;
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  kill(signal: NodeJS.Signals): void;
}

const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** Starts a worker with a state folder, and so with a device, of its own. */
export function startWorkerProcess(options: {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}): WorkerProcess {
  const { folder, environment, args = [] } = options;
  mkdirSync(folder, { recursive: true });
  const own = { SIGLIP2_STATE: folder, SIGLIP2_SCRATCH: join(folder, 'scratch'), SIGLIP2_METRICS: '' };
  const child = spawn(process.execPath, [...workerStart, ...args], {
    env: { ...process.env, ...environment, ...own },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  living.add(child);
  const lines: Record<string, unknown>[] = [];
  let [rest, said] = ['', ''];
  child.stdout.on('data', (data) => {
    const pieces = `${rest}${data}`.split('\n');
    rest = pieces.pop()!;
    for (const piece of pieces) lines.push(piece.startsWith('{') ? JSON.parse(piece) : { msg: piece });
  });
  child.stderr.on('data', (data) => {
    said += data;
  });
  let running = true;
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.on('close', (code, signal) => {
      running = false;
      living.delete(child);
      resolve({ code, signal });
    });
  });
  return {
    pid: child.pid!,
    lines,
    said: () => said,
    running: () => running,
    ended,
    kill: (signal) => void child.kill(signal),
  };
}
