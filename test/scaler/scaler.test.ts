import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { deviceQueue } from '../../workflows/policies.ts';
import { type Site, startSite, tinyRecipe } from '../faults/harness.ts';
import { long } from '../support/long.ts';
import { startWorkerProcess, type WorkerProcess } from '../support/worker-process.ts';
import { backlogOf } from './backlog.ts';
import { checkRun } from './check.ts';
import { Jobs } from './jobs.ts';
import { simulate } from './simulate.ts';

const patience = 600_000;
const total = long ? 600 : 400;
const recipe = tinyRecipe({
  schedule: { total: { steps: total }, warmup: { steps: 20 } },
  checkpoint: { every: { steps: 50 }, shard: { steps: 200 } },
});
const [runs, kills] = long ? [3, 2] : [2, 1];
let site: Site;
let light: WorkerProcess;
let jobs: Jobs;

beforeAll(async () => {
  site = await startSite({ worker: false });
  const { environment } = site.services;
  light = startWorkerProcess({ folder: join(site.folder, 'light'), environment, args: ['--queues', 'siglip2'] });
  jobs = new Jobs({ folder: site.folder, environment, idle: '2s' });
}, patience);
afterAll(async () => {
  await jobs?.end();
  light?.kill('SIGKILL');
  await site?.stop();
}, patience);

it(
  'a scaler starts workers for the backlog of devices, from none to none, and what is killed meanwhile is neither lost nor trained twice',
  async () => {
    const scaled = { strategy: 'accurate', maxReplicaCount: 2, target: 1 } as const;
    const how = { scaled, seed: 1, arrivalSeconds: 1, killSeconds: 3, pollMs: 500, say: () => {} };
    const { results, peak } = await simulate(site, jobs, recipe, { ...how, runs, kills });
    expect(results.size).toBe(runs);
    expect(peak).toBe(2);
    expect(jobs.killed.size).toBe(kills);
    const shas = [...results.values()].map(({ phases }) => phases[0]!.checkpoint.sha256);
    for (const run of results.keys())
      expect(await checkRun(site, run, 'pretrain', total, jobs.commits)).toHaveLength(total / 200);

    // Whoever was not killed has ended by its own rule, with nothing left to do.
    for (const job of jobs.all) {
      expect(job.running()).toBe(false);
      if (jobs.killed.has(job)) continue;
      expect(await job.ended, job.said()).toEqual({ code: 0, signal: null });
      expect(job.lines.at(-1)).toMatchObject({ msg: 'worker ended', why: 'idle for 2 s', exitCode: 0 });
    }
    expect(await backlogOf(site.client.workflowService, deviceQueue)).toBe(0);

    // Again from none, with nobody killed: what the others have to equal.
    const before = jobs.all.length;
    const calm = await simulate(site, jobs, recipe, { ...how, runs: 1, kills: 0, name: 'calm' });
    expect(jobs.all.length).toBeGreaterThan(before);
    const [undisturbed] = [...calm.results.values()].map(({ phases }) => phases[0]!.checkpoint.sha256);
    expect(shas).toEqual(Array.from({ length: runs }, () => undisturbed));
  },
  patience,
);
