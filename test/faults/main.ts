import { setTimeout as delay } from 'node:timers/promises';
import { WorkflowFailedError } from '@temporalio/client';
import { Command } from 'commander';
import { findCommits } from '../../src/checkpoint/commits.ts';
import { isAlive, type ProcessName } from '../../src/runtime/services-state.ts';
import { type Run, type Site, startSite, tinyRecipe, until, type Victim } from './harness.ts';
import { type Kill, killSchedule } from './schedule.ts';
import { verifyCommits } from './verify.ts';

/**
 * `npm run faults -- --kills N --seed S`: the long form of `kills.test.ts`. Runs one after another, in which worker,
 * trainer, S3 server and Temporal are killed at random points; every run must end by itself in the undisturbed state.
 */
const program = new Command('npm run faults --')
  .description('Kills what a run needs, at random points, and checks that every run ends in the undisturbed state.')
  .option('--kills <number>', 'how many in all', (text) => Number(text), 50)
  .option('--seed <number>', 'of the schedule', (text) => Number(text), 1);

const began = Date.now();
const say = (line: string) =>
  process.stdout.write(`${((Date.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);

// The supervisor gives a service up that ends five times within a minute.
const killsAMinute = 3;

class Killer {
  readonly #site: Site;
  readonly #left: Kill[];
  readonly #times = new Map<Victim, number[]>();
  readonly #dead: ProcessName[] = [];
  /** Step of the newest commit when a trainer was killed last: three in a row without progress end a run, rightly. */
  #trainerKilledAt: { run: string; step: number } | null = null;

  constructor(site: Site, kills: readonly Kill[]) {
    this.#site = site;
    this.#left = [...kills];
  }

  get left(): number {
    return this.#left.length;
  }

  /** Kills by the schedule while the run goes on. */
  async haunt(run: string, running: () => boolean): Promise<void> {
    while (running() && this.#left.length > 0) {
      const { victim, after } = this.#left[0]!;
      await this.#wait(1000 * after, running);
      await this.#pace(victim, run, running);
      // What is on its way back can't be killed yet.
      while (running() && !this.#kill(victim, run)) await delay(20);
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
    say(`${run}: killed ${victim} ${killed.pid}, ${this.#left.length} to go`);
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
async function insist<T>(ask: () => Promise<T>): Promise<T> {
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

async function shaOf(run: Run): Promise<string> {
  const result = await insist(() => run.result()).catch((error) => {
    throw new Error(`${run.workflowId} failed: ${error.cause?.message ?? error.message}`);
  });
  return result.checkpoint.sha256;
}

async function removeRun({ store }: Site, run: string): Promise<void> {
  for await (const { key } of store.list(`runs/${run}/`)) await store.delete(key);
}

async function main({ kills, seed }: { kills: number; seed: number }): Promise<void> {
  const schedule = killSchedule(kills, seed);
  say(`${kills} kills with seed ${seed}:`);
  for (const { victim, after } of schedule) process.stdout.write(`           ${victim} after ${after} s\n`);
  const site = await startSite();
  const killer = new Killer(site, schedule);
  try {
    await Promise.race([haunted(site, killer), site.services.failed]);
  } finally {
    say(
      `restarts: ${(['worker', 's3', 'temporal'] as const).map((name) => `${name} ${site.services.restarts(name)}`)}`,
    );
    // What went wrong can be looked into.
    if (killer.left > 0) process.stdout.write(`The worker's log ends with:\n${site.log('worker').slice(-4000)}\n`);
    await site.stop();
  }
}

async function haunted(site: Site, killer: Killer): Promise<void> {
  const expected = await shaOf(await site.start('undisturbed', tinyRecipe()));
  say(`undisturbed: ${expected}`);
  for (let count = 1; killer.left > 0; count++) {
    const name = `killed-${count}`;
    const run = await insist(() => site.start(name, tinyRecipe()));
    let running = true;
    const end = shaOf(run).finally(() => {
      running = false;
    });
    end.catch(() => {});
    await killer.haunt(name, () => running);
    const sha = await end;
    if (sha !== expected) throw new Error(`${name} ended with ${sha}`);
    const commits = await insist(() => verifyCommits(site.store, name));
    await until(() => killer.survivors().length === 0);
    say(`${name}: the same, ${commits.length} commits verified`);
    await removeRun(site, name);
  }
  say('every run ended by itself with the same state');
}

const { kills, seed } = program.parse().opts<{ kills: number; seed: number }>();
if (!Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed) || seed < 0)
  program.error('--kills is a whole number from 1, --seed one from 0');
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
try {
  await main({ kills, seed });
} catch (error) {
  say((error as Error).message);
  process.exitCode = 1;
}
process.exit();
