import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { RunnerError } from '../../src/runtime/errors.ts';
import { processStart } from '../../src/runtime/lock.mjs';
import type { ProcessName } from '../../src/runtime/services-state.ts';
import { boundCommand } from './bound.ts';
import { endGroup } from './processes.ts';

export interface ServiceCommand {
  readonly name: string;
  readonly file: string;
  /** Asked at each start. */
  args(): readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly log: string;
  /** True once it can be used; called again and again while it starts. */
  ready(): Promise<boolean>;
  /** After a start or a restart, before others may use it. */
  prepare?(): Promise<void>;
  /** How long it may take to start, and to end by itself after SIGTERM. */
  readonly startMs: number;
  readonly stopMs: number;
}

const logBytes = 20 * 1024 * 1024;
const deathsAllowed = 5;
const deathsWithinMs = 60_000;

/**
 * One process that is kept alive. It gets a process group of its own, so that Ctrl-C in a terminal reaches only the
 * supervisor, and its children end with it. It writes to its log itself, which outlives the supervisor.
 */
export class Service {
  readonly command: ServiceCommand;
  /** Settles only with the error of a service that can't be kept alive. */
  readonly failed: Promise<never>;
  readonly #onChange: () => void;
  readonly #bound: boolean;
  #child: ChildProcess | undefined;
  #readying: Promise<void> | undefined;
  #stopping = false;
  #deaths: number[] = [];
  #fail!: (error: RunnerError) => void;
  #exited: Promise<void> = Promise.resolve();

  /** @param bound it ends with this process, however that ends */
  constructor(command: ServiceCommand, onChange: () => void, bound = false) {
    this.command = command;
    this.#bound = bound;
    this.#onChange = onChange;
    this.failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failed.catch(() => {});
  }

  get process(): ProcessName | null {
    const pid = this.#child?.pid;
    return pid === undefined ? null : { pid, start: processStart(pid) };
  }

  /** How often it was started again. */
  get restarts(): number {
    return this.#deaths.length;
  }

  /** Starts it and waits until it can be used. */
  async start(): Promise<void> {
    this.#spawn();
    await Promise.race([this.#whenReady(), this.failed]);
  }

  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const pid = this.#child?.pid;
    if (pid !== undefined) await endGroup(pid, this.command.stopMs);
    await this.#exited;
  }

  #spawn(): void {
    const { env, log } = this.command;
    const [own, given] = [this.command.file, this.command.args()];
    const [file, args] = this.#bound ? boundCommand(own, given) : [own, given];
    const output = openLog(log);
    const child = spawn(file, args, { env, detached: true, stdio: ['ignore', output, output] });
    closeSync(output);
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      const ended = (how: string) => {
        resolve();
        void this.#onDeath(how);
      };
      child.once('error', (error) => ended(error.message));
      child.once('exit', (code, signal) => ended(signal ?? `exit status ${code}`));
    });
    this.#onChange();
  }

  async #onDeath(how: string): Promise<void> {
    if (this.#stopping) return;
    const now = Date.now();
    this.#deaths.push(now);
    const recent = this.#deaths.filter((time) => now - time < deathsWithinMs).length;
    if (recent >= deathsAllowed) {
      this.#fail(
        new RunnerError(
          'SetupMissing',
          `${this.command.name} ended ${recent} times within a minute (last: ${how}); its log says why: ${this.command.log}`,
        ),
      );
      return;
    }
    await delay(Math.min(100 * 2 ** recent, 5_000));
    if (this.#stopping) return;
    this.#spawn();
    await this.#whenReady().catch(() => {});
  }

  /** One look at a time, although a start and a restart may both wait. */
  #whenReady(): Promise<void> {
    this.#readying ??= this.#lookUntilReady().finally(() => {
      this.#readying = undefined;
    });
    return this.#readying;
  }

  async #lookUntilReady(): Promise<void> {
    const { name, log, startMs } = this.command;
    const until = Date.now() + startMs;
    while (!this.#stopping) {
      if (await this.command.ready().catch(() => false)) break;
      if (Date.now() > until)
        throw new RunnerError(
          'SetupMissing',
          `${name} did not answer within ${startMs / 1000} s; its log may say why: ${log}`,
        );
      await delay(50);
    }
    if (!this.#stopping) await this.command.prepare?.();
  }
}

/** Opens a log for appending; a long one is moved aside first. */
function openLog(log: string): number {
  mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
  try {
    if (statSync(log).size > logBytes) renameSync(log, `${log}.1`);
  } catch {
    // There is none yet.
  }
  return openSync(log, 'a', 0o600);
}
