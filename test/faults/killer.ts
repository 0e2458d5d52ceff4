import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowFailedError } from '@temporalio/client';
import { findCommits } from '../../src/checkpoint/commits.ts';
import { isAlive, type ProcessName } from '../../src/runtime/services-state.ts';
import type { RunStatus } from '../../workflows/messages.ts';
import type { Site, Victim } from './harness.ts';
import { isTrouble, type Kill } from './schedule.ts';

// The supervisor gives a service up that ends five times within a minute.
const killsAMinute = 3;

/** Kills by a schedule whatever runs, and remembers whom. */
export class Killer {
  readonly #site: Site;
  readonly #left: Kill[];
  /** Of the wait before the next, what earlier runs have taken: a run that is shorter than a wait would never be hit. */
  #waitedMs = 0;
  readonly #say: (line: string) => void;
  readonly #times = new Map<Victim, number[]>();
  readonly #dead: ProcessName[] = [];
  /** Step of the newest commit when a trainer was killed last: three in a row without progress end a run, rightly. */
  #trainerKilledAt: { run: string; step: number } | null = null;

  constructor(site: Site, kills: readonly Kill[], say: (line: string) => void) {
    this.#site = site;
    this.#say = say;
    this.#left = [...kills];
  }

  get left(): number {
    return this.#left.length;
  }

  /** Kills by the schedule while the run goes on. */
  async haunt(run: string, running: () => boolean): Promise<void> {
    while (running() && this.#left.length > 0) {
      const { victim, after, lasts = 0 } = this.#left[0]!;
      const began = Date.now();
      await this.#wait(1000 * after - this.#waitedMs, running);
      this.#waitedMs = running() ? 0 : this.#waitedMs + Date.now() - began;
      if (isTrouble(victim)) {
        if (!running()) return;
        this.#left.shift();
        this.#say(`${run}: ${victim} for ${lasts} s, ${this.#left.length} to go`);
        this.#site.trouble(victim, true);
        await delay(1000 * lasts);
        this.#site.trouble(victim, false);
        if (victim === 'disk full') await this.#mend(run, running);
        continue;
      }
      await this.#pace(victim, run, running);
      // What is on its way back can't be killed yet.
      while (running() && !this.#kill(victim, run)) await delay(20);
    }
  }

  /** What a person does when a full disk has room again: phases that wait for that are tried again. */
  async #mend(run: string, running: () => boolean): Promise<void> {
    const handle = this.#site.client.workflow.getHandle(run);
    // A snapshot that failed at the very end of the trouble is known a moment later.
    for (const end = Date.now() + 5_000; running() && Date.now() < end; await delay(500)) {
      const status = await handle.query<RunStatus>('status').catch(() => null);
      for (const { phase, state, failure } of status?.phases ?? []) {
        if (state !== 'waiting') continue;
        if (!failure?.includes('ENOSPC') && !failure?.includes('full')) throw new Error(`${phase} waits: ${failure}`);
        this.#say(`${run}: tries ${phase} again`);
        await handle.executeUpdate('retryPhase', { args: [{ phase }] }).catch(() => {});
      }
    }
  }

  /** What was killed and still lives; what holds the device now is none of it. */
  survivors(): ProcessName[] {
    return this.#dead.filter(isAlive);
  }

  #kill(victim: Victim, run: string): boolean {
    const trainer = this.#site.trainer();
    let killed: ProcessName;
    try {
      killed = this.#site.kill(victim);
    } catch {
      return false;
    }
    this.#left.shift();
    this.#dead.push(killed);
    // The trainer of a killed worker must not live on either.
    if (victim === 'worker' && trainer) this.#dead.push(trainer);
    this.#times.set(victim, [...(this.#times.get(victim) ?? []), Date.now()]);
    this.#say(`${run}: killed ${victim} ${killed.pid}, ${this.#left.length} to go`);
    return true;
  }

  async #pace(victim: Victim, run: string, running: () => boolean): Promise<void> {
    const before = this.#times.get(victim)?.at(-killsAMinute) ?? 0;
    await this.#wait(before + 60_000 - Date.now(), running);
    if (victim !== 'trainer') return;
    const last = this.#trainerKilledAt;
    if (last?.run === run) while (running() && (await committed(this.#site, run)) <= last.step) await delay(100);
    this.#trainerKilledAt = { run, step: await committed(this.#site, run) };
  }

  async #wait(ms: number, running: () => boolean): Promise<void> {
    for (const end = Date.now() + ms; running() && Date.now() < end; ) await delay(20);
  }
}

/** Temporal may be away at any time: only what a workflow failed with is final. */
export async function insist<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof WorkflowFailedError) throw error;
      await delay(500);
    }
  }
}

/** Step of the newest commit, also when the store is away for a while. */
const committed = ({ store }: Site, run: string) =>
  insist(async () => Math.max(0, ...(await findCommits(store, { run })).map(({ step }) => step)));
