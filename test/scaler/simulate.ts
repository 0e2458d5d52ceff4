import { setTimeout as delay } from 'node:timers/promises';
import { randomStream } from '../../src/runtime/random.ts';
import { deviceQueue } from '../../workflows/policies.ts';
import type { RecipeResult } from '../../workflows/results.ts';
import type { Site } from '../faults/harness.ts';
import { backlogOf } from './backlog.ts';
import type { Jobs } from './jobs.ts';
import { newJobs, type ScaledJob } from './rule.ts';

export interface Simulation {
  readonly scaled: ScaledJob;
  /** What the runs are called, before their number. */
  readonly name?: string;
  /** Runs that arrive, and jobs that are killed while they train. */
  readonly runs: number;
  readonly kills: number;
  readonly seed: number;
  /** Longest time between two arrivals, and between two kills, in seconds. */
  readonly arrivalSeconds: number;
  readonly killSeconds: number;
  /** KEDA's `pollingInterval`. */
  readonly pollMs: number;
  readonly say: (line: string) => void;
}

export interface Simulated {
  /** What each run ended with, by its name. */
  readonly results: ReadonlyMap<string, RecipeResult>;
  /** Most jobs at once. */
  readonly peak: number;
}

/** Lets runs of one recipe arrive while a scaler starts jobs for them and others kill these, until no job is left. */
export async function simulate(site: Site, jobs: Jobs, recipe: object, how: Simulation): Promise<Simulated> {
  const { name: called = 'arrived', runs, kills, seed, arrivalSeconds, killSeconds, say } = how;
  const random = randomStream(seed, 'scaler');
  const results = new Map<string, RecipeResult>();
  let peak = 0;
  let over = false;
  const scaling = (async () => {
    while (!over || jobs.running.length > 0) {
      const look = {
        queue: await backlogOf(site.client.workflowService, deviceQueue),
        running: jobs.running.length,
        pending: jobs.pending,
      };
      const count = newJobs(how.scaled, look);
      for (let i = 0; i < count; i++) jobs.start();
      peak = Math.max(peak, jobs.running.length);
      if (count > 0) say(`${look.queue} wait, ${look.running} jobs of which ${look.pending} start: ${count} more`);
      await delay(how.pollMs);
    }
  })();
  const killing = (async () => {
    for (let left = kills; left > 0 && !over; left--) {
      await delay(1000 * killSeconds * random.next());
      while (jobs.busy.length === 0 && !over) await delay(20);
      const victim = jobs.busy[random.below(Math.max(1, jobs.busy.length))];
      if (!victim) continue;
      jobs.kill(victim);
      say(`killed ${victim.pid}, ${left - 1} to go`);
    }
  })();
  const gaps = Array.from({ length: runs }, () => 1000 * arrivalSeconds * random.next());
  try {
    const arrivals: Promise<void>[] = [];
    for (const [i, gap] of gaps.entries()) {
      await delay(gap);
      const name = `${called}-${i}`;
      say(`${name} arrives`);
      const run = await site.start(name, recipe);
      arrivals.push(
        run.result().then((result) => {
          results.set(name, result);
          say(`${name} is done`);
        }),
      );
    }
    await Promise.all(arrivals);
  } finally {
    over = true;
    await Promise.all([killing, scaling]);
  }
  return { results, peak };
}
