import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { RunnerError } from './errors.ts';
import { end, identify, isRunning, type ProcessIdentity } from './process-identity.ts';

interface Holder {
  readonly worker: ProcessIdentity;
  readonly trainer: ProcessIdentity | null;
}

export interface DeviceLock {
  /** Notes the trainer that now owns the device, so that a later worker can end it. */
  setTrainer(pid: number | null): void;
  release(): void;
}

/**
 * Takes a device for this worker. A holder that was killed leaves its file, and perhaps its trainer in the middle of
 * a step: that trainer is ended before this returns. DeviceMissing when a living worker has the device.
 */
export async function lockDevice(file: string): Promise<DeviceLock> {
  mkdirSync(dirname(file), { recursive: true });
  const worker = identify(process.pid) ?? { pid: process.pid, started: '' };
  for (;;) {
    if (create(file, { worker, trainer: null })) break;
    const text = readText(file);
    if (text === null) continue;
    const holder = parse(text);
    if (holder && isRunning(holder.worker))
      throw new RunnerError(
        'DeviceMissing',
        `the device is in use by the worker with pid ${holder.worker.pid} (${file}); stop that worker, or give this one another SIGLIP2_STATE`,
      );
    if (holder?.trainer && !(await end(holder.trainer)))
      throw new RunnerError(
        'DeviceMissing',
        `the trainer with pid ${holder.trainer.pid} of an earlier worker does not end; end it, then start again`,
      );
    removeStale(file, text);
  }
  return {
    setTrainer(pid) {
      const trainer = pid === null ? null : identify(pid);
      const next = `${file}.${randomUUID()}`;
      writeFileSync(next, JSON.stringify({ worker, trainer }));
      renameSync(next, file);
    },
    release() {
      const holder = parse(readText(file) ?? '');
      if (holder?.worker.pid === worker.pid && holder.worker.started === worker.started) unlinkSync(file);
    },
  };
}

/** The file appears with its content or not at all. */
function create(file: string, holder: Holder): boolean {
  const draft = `${file}.${randomUUID()}`;
  writeFileSync(draft, JSON.stringify(holder), { flag: 'wx' });
  try {
    linkSync(draft, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    unlinkSync(draft);
  }
}

/** Two workers may find the same stale file: the second must not take away what the first has just made. */
function removeStale(file: string, text: string): void {
  const aside = `${file}.${randomUUID()}`;
  try {
    renameSync(file, aside);
  } catch {
    return; // The other one was quicker.
  }
  try {
    if (readText(aside) !== text) linkSync(aside, file);
  } catch {
    // A third one has it already.
  } finally {
    unlinkSync(aside);
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

function parse(text: string): Holder | null {
  try {
    const { worker, trainer } = JSON.parse(text) as Holder;
    return typeof worker.pid === 'number' ? { worker, trainer } : null;
  } catch {
    return null;
  }
}
