import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { RunnerError } from '../runtime/errors.ts';
import { processStart, tryLock } from '../runtime/lock.mjs';
import { isAlive, type ProcessName } from '../runtime/services-state.ts';

export interface DeviceLock {
  /** Notes the trainer that now owns the device, so that a later worker can end it. */
  setTrainer(pid: number): void;
  release(): Promise<void>;
}

/**
 * Takes a device for this worker. A worker that was killed may leave its trainer in the middle of a step: that one
 * is ended before this returns. Errors: DeviceBusy when a living worker has the device, DeviceMissing when that trainer does not
 * end.
 */
export async function lockDevice(file: string): Promise<DeviceLock> {
  const lock = await takeLock(file);
  const trainerFile = `${file}.trainer`;
  const stale = readJson(trainerFile) as ProcessName | null;
  if (stale && !(await endProcess(stale))) {
    await lock.release();
    throw new RunnerError(
      'DeviceMissing',
      `the trainer with pid ${stale.pid} of an earlier worker does not end; end it, then it goes on`,
    );
  }
  return {
    setTrainer(pid) {
      writeFileSync(`${trainerFile}.part`, JSON.stringify({ pid, start: processStart(pid) } satisfies ProcessName));
      renameSync(`${trainerFile}.part`, trainerFile);
    },
    async release() {
      rmSync(trainerFile, { force: true });
      await lock.release();
    },
  };
}

async function takeLock(file: string) {
  // Another worker that looks at the same stale file may be in the way for a moment.
  for (let tries = 0; tries < 10; tries++) {
    const lock = await tryLock(file);
    if (lock) return lock;
    await delay(50);
  }
  const pid = (readJson(file) as { pid?: number } | null)?.pid ?? 'unknown';
  throw new RunnerError(
    'DeviceBusy',
    `the device is in use by the worker with pid ${pid} (${file}); stop that worker, or give this one another GPU by CUDA_VISIBLE_DEVICES, on a CPU another SIGLIP2_STATE`,
  );
}

/** Kills a process that nobody can ask any more, and waits until it is gone: false if that takes too long. */
async function endProcess(name: ProcessName, withinMs = 30_000): Promise<boolean> {
  for (const until = Date.now() + withinMs; isAlive(name); await delay(50)) {
    if (Date.now() > until) return false;
    try {
      process.kill(name.pid, 'SIGKILL');
    } catch {
      // It ended in between.
    }
  }
  return true;
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}
