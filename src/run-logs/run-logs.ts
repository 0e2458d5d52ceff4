import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Lock } from '../runtime/lock.mjs';
import { tryLock } from '../runtime/lock.mjs';
import { type Redact, redactor } from '../runtime/secrets.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { sendLeft } from './left.ts';
import { type LogLimits, usualLimits } from './limits.ts';
import { encodeLine, type Level, type Speaker } from './line.ts';
import { PlaceLog, type Source } from './place-log.ts';
import type { Place } from './segment.ts';
import { type Say, Sender } from './sender.ts';
import { tidyLogs } from './tidy.ts';

export interface RunLogsOptions {
  readonly store: Pick<ObjectStore, 'list' | 'get' | 'put' | 'purge'>;
  /** Where workers of this machine have their journals, each a folder of its own below it. */
  readonly folder: string;
  /** Version of this code. */
  readonly code: string;
  readonly redact?: Redact;
  /** The worker's own log, for what goes wrong here. */
  readonly say: Say;
  readonly limits?: Partial<LogLimits>;
  readonly now?: () => number;
}

/** What one attempt at an activity says, for those who look at its run. No call fails, or waits for anything. */
export interface AttemptLog {
  say(level: Level, fields: object, text: string): void;
  /** The same of its trainer. */
  hear(level: Level, fields: object, text: string): void;
  ended(): void;
}

const tickMs = 500;
const idleMs = 600_000;

/**
 * The logs of runs, as a worker keeps them: lines go to a journal on the local disk at once, and as small objects to the
 * bucket some seconds later. A journal is its worker's alone, by a lock; what a killed worker left there, the next one
 * that finds its lock free sends.
 */
export class RunLogs {
  readonly #options: RunLogsOptions;
  readonly #limits: LogLimits;
  readonly #folder: string;
  readonly #lock: Lock;
  readonly #sender: Sender;
  readonly #redact: Redact;
  readonly #now: () => number;
  readonly #places = new Map<string, PlaceLog>();
  readonly #atWork = new Map<string, { readonly place: Place; readonly speaker: Speaker }>();
  readonly #timers: NodeJS.Timeout[];
  /** Names this process in the logs. */
  readonly worker: string;
  #sequence = 0;

  /** Null, said once, where the disk will not have it: nobody fails for want of a log. */
  static async open(options: RunLogsOptions): Promise<RunLogs | null> {
    try {
      // Whoever looks for what is left may have the lock of a new folder for a moment.
      for (let tries = 0; tries < 5; tries++) {
        const name = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
        const worker = name.replaceAll(/[^A-Za-z0-9._-]/g, '-').slice(-100);
        const folder = join(options.folder, worker);
        mkdirSync(folder, { recursive: true, mode: 0o700 });
        const lock = await tryLock(join(folder, 'lock'));
        if (lock) return new RunLogs(options, worker, folder, lock);
      }
      throw new Error(`no folder below ${options.folder} could be locked`);
    } catch (error) {
      options.say('warn', { reason: (error as Error).message }, 'there will be no logs of runs in the bucket');
      return null;
    }
  }

  private constructor(options: RunLogsOptions, worker: string, folder: string, lock: Lock) {
    this.#options = options;
    this.#limits = { ...usualLimits, ...options.limits };
    this.#folder = folder;
    this.#lock = lock;
    this.#redact = options.redact ?? redactor();
    this.#now = options.now ?? Date.now;
    this.worker = worker;
    this.#sender = new Sender(options.store, options.say, this.#limits.retryMs);
    const look = () => void sendLeft(options.folder, folder, this.#sender, options.say).catch(() => {});
    this.#timers = [setInterval(() => this.tick(), tickMs), setInterval(look, this.#limits.lookMs)];
    for (const timer of this.#timers) timer.unref();
    look();
  }

  /** The log of an attempt. */
  at(place: Place, speaker: Required<Pick<Speaker, 'activity' | 'attempt' | 'number'>>): AttemptLog {
    this.#atWork.set(speaker.attempt, { place, speaker });
    const say = (source: Source) => (level: Level, fields: object, text: string) =>
      this.#say(source, place, { ...speaker, ...(source === 'trainer' && { from: source }) }, level, fields, text);
    return {
      say: say('worker'),
      hear: say('trainer'),
      ended: () => {
        this.#atWork.delete(speaker.attempt);
        this.#placeLog(place).ended();
      },
    };
  }

  /** For every attempt that is at work: what happens to all of the worker. */
  sayToAll(level: Level, fields: object, text: string): void {
    for (const { place, speaker } of this.#atWork.values()) this.#say('worker', place, speaker, level, fields, text);
  }

  /** Closes the segments that are due. */
  tick(): void {
    for (const [name, log] of this.#places) {
      log.tick();
      if (log.isIdle(idleMs)) this.#places.delete(name);
    }
  }

  /** Sends what there is, for so long at most; what does not arrive, the next worker sends. */
  async close(withinMs: number): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    for (const log of this.#places.values()) log.close();
    await this.#sender.close(withinMs);
    if (this.#sender.bytes === 0) rmSync(this.#folder, { recursive: true, force: true });
    await this.#lock.release();
  }

  #say(source: Source, place: Place, speaker: Speaker, level: Level, fields: object, text: string): void {
    try {
      // These stand at the head of the segment, or of the line.
      const own = ['run', 'phase', 'workflow', 'activity', 'attempt'];
      const said = Object.fromEntries(Object.entries(fields).filter(([name]) => !own.includes(name)));
      this.#placeLog(place).say(source, (time) => encodeLine({ time, level, ...speaker }, said, text, this.#redact));
    } catch {
      // What can't be written as JSON, such as a circle: it stands in the worker's log.
    }
  }

  #placeLog(place: Place): PlaceLog {
    const name = JSON.stringify([place.run, place.phase]);
    const found = this.#places.get(name);
    if (found) return found;
    const made = new PlaceLog({
      folder: this.#folder,
      limits: this.#limits,
      sender: this.#sender,
      header: () => ({
        segment: 1,
        run: place.run,
        phase: place.phase,
        worker: this.worker,
        sequence: ++this.#sequence,
        code: this.#options.code,
      }),
      now: this.#now,
      // What hinders it now will be gone by the next time.
      tidy: () => void tidyLogs(this.#options.store, place).catch(() => {}),
      remark: (time, text) => encodeLine({ time, level: 'warn' }, {}, text, this.#redact),
    });
    this.#places.set(name, made);
    return made;
  }
}
