import { findUnreferenced, sweepRun } from '../../src/checkpoint/sweep.ts';
import { endProcess } from '../../src/runtime/end-process.ts';
import { type FaultOptions, faultsProgram } from './arguments.ts';
import { acidRecipe, graphRecipe, type Run, type Site, startSite, tinyRecipe, until } from './harness.ts';
import { insist, Killer } from './killer.ts';
import { killSchedule } from './schedule.ts';
import { verifyCommits } from './verify.ts';

/**
 * `npm run faults -- --kills N --seed S`: the long form of `kills.test.ts`. Runs one after another, in which worker,
 * trainer, S3 server and Temporal are killed at random points; every run must end by itself in the undisturbed state.
 */
const began = Date.now();
const say = (line: string) =>
  process.stdout.write(`${((Date.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);

async function shaOf(run: Run): Promise<string> {
  const result = await insist(() => run.result()).catch((error) => {
    throw new Error(`${run.workflowId} failed: ${error.cause?.message ?? error.message}`);
  });
  return result.phases.map(({ checkpoint }) => checkpoint.sha256).join(' ');
}

async function removeRun({ store }: Site, run: string): Promise<void> {
  for await (const { key } of store.list(`runs/${run}/`)) await store.delete(key);
}

async function main({ kills, seed, graph, acid, weather }: FaultOptions): Promise<void> {
  const recipe = acid ? acidRecipe() : graph ? graphRecipe() : tinyRecipe();
  const schedule = killSchedule(kills, seed, { weather });
  say(`${kills} kills with seed ${seed}:`);
  for (const { victim, after, lasts } of schedule)
    process.stdout.write(`           ${victim} after ${after} s${lasts === undefined ? '' : `, for ${lasts} s`}\n`);
  const site = await startSite({ weather, noisy: acid });
  const killer = new Killer(site, schedule, say);
  try {
    await Promise.race([haunted(site, killer, recipe), site.services.failed]);
  } finally {
    const restarts = (['worker', 's3', 'temporal'] as const).map((name) => `${name} ${site.restarts(name)}`);
    say(`restarts: ${restarts.join(', ')}`);
    // What went wrong can be looked into.
    if (killer.left > 0) process.stdout.write(`The worker's log ends with:\n${site.log('worker').slice(-4000)}\n`);
    await site.stop();
  }
}

async function haunted(site: Site, killer: Killer, recipe: object): Promise<void> {
  const expected = await shaOf(await site.start('undisturbed', recipe));
  say(`undisturbed: ${expected}`);
  for (let count = 1; killer.left > 0; count++) {
    const name = `killed-${count}`;
    const run = await insist(() => site.start(name, recipe));
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
    await insist(() => sweepRun(site.store, name, { graceMs: 0 }));
    const left = await insist(() => findUnreferenced(site.store, name));
    if (left.length > 0) throw new Error(`${name} left ${left.join(', ')}`);
    say(`${name}: the same, ${commits.length} commits verified, nothing left over`);
    await removeRun(site, name);
  }
  say('every run ended by itself with the same state');
}

const program = faultsProgram();
const { kills, seed, graph, acid, weather } = program.parse().opts<FaultOptions>();
if (!Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed) || seed < 0)
  program.error('--kills is a whole number from 1, --seed one from 0');
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
try {
  await main({ kills, seed, graph, acid, weather });
} catch (error) {
  say((error as Error).message);
  process.exitCode = 1;
}
await endProcess();
