import { join } from 'node:path';
import { endProcess } from '../../src/runtime/end-process.ts';
import { type Site, startSite, tinyRecipe } from '../faults/harness.ts';
import { startWorkerProcess } from '../support/worker-process.ts';
import { type ScalerOptions, scalerProgram } from './arguments.ts';
import { checkRun } from './check.ts';
import { Jobs } from './jobs.ts';
import { simulate } from './simulate.ts';

/** `npm run scaler`: the long form of `scaler.test.ts`, from no worker to eight and back, with arrivals and kills by a seed. */
const began = Date.now();
const say = (line: string) =>
  process.stdout.write(`${((Date.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);

const total = 2000;
const recipe = tinyRecipe({
  schedule: { total: { steps: total }, warmup: { steps: 20 } },
  checkpoint: { every: { steps: 50 }, shard: { steps: 400 } },
});

async function main(options: ScalerOptions): Promise<void> {
  const site = await startSite({ worker: false });
  const { environment } = site.services;
  const light = startWorkerProcess({ folder: join(site.folder, 'light'), environment, args: ['--queues', 'siglip2'] });
  const jobs = new Jobs({ folder: site.folder, environment, idle: '10s' });
  try {
    await scaled(site, jobs, options);
  } finally {
    await jobs.end();
    light.kill('SIGTERM');
    await light.ended;
    await site.stop();
  }
}

async function scaled(site: Site, jobs: Jobs, { workers, runs, kills, seed }: ScalerOptions): Promise<void> {
  const how = { seed, arrivalSeconds: 4, killSeconds: 20, pollMs: 2000, say };
  const rule = { strategy: 'accurate', maxReplicaCount: workers, target: 1 } as const;
  const calm = await simulate(site, jobs, recipe, { ...how, name: 'calm', scaled: rule, runs: 1, kills: 0 });
  const shaOf = (results: typeof calm.results) =>
    [...results.values()].map(({ phases }) => phases[0]!.checkpoint.sha256);
  const [expected] = shaOf(calm.results);
  say(`undisturbed: ${expected}, and no worker is left`);
  const { results, peak } = await simulate(site, jobs, recipe, { ...how, scaled: rule, runs, kills });
  for (const run of results.keys()) await checkRun(site, run, 'pretrain', total, jobs.commits);
  const others = shaOf(results).filter((sha) => sha !== expected);
  if (others.length > 0) throw new Error(`${others.length} runs ended with other bytes`);
  const ends = await Promise.all(jobs.all.filter((job) => !jobs.killed.has(job)).map(({ ended }) => ended));
  const bad = ends.filter(({ code }) => code !== 0);
  if (bad.length > 0) throw new Error(`workers that nobody killed ended with ${JSON.stringify(bad)}`);
  say(`${runs} runs with equal bytes, ${jobs.all.length} workers, ${peak} at once, ${jobs.killed.size} killed, 0 left`);
}

await scalerProgram().action(main).parseAsync();
await endProcess();
