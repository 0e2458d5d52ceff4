import { findUnreferenced, sweepRun } from '../../src/checkpoint/sweep.ts';
import { endProcess } from '../../src/runtime/end-process.ts';
import { type FaultOptions, faultsProgram } from './arguments.ts';
import { type CrewMember, startCrew, stopCrew } from './crew.ts';
import { acidRecipe, graphRecipe, type Run, roundsRecipe, type Site, startSite, tinyRecipe, until } from './harness.ts';
import { insist, Killer } from './killer.ts';
import { RoundsKiller } from './rounds-killer.ts';
import { roundsSchedule } from './rounds-schedule.ts';
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

/** The same for rounds: workers of which each may be killed, frozen or cut off, and who merges. */
async function rounds({ kills, seed, workers }: FaultOptions): Promise<void> {
  const schedule = roundsSchedule(kills, seed, workers);
  say(`${kills} faults over ${workers} workers with seed ${seed}`);
  const site = await startSite({ worker: false });
  let crew: CrewMember[] = [];
  try {
    crew = await startCrew(site, workers);
    say(`${workers} workers are there`);
    const killer = new RoundsKiller(site, crew, schedule, say);
    const failed = Promise.race([site.services.failed, ...crew.map(({ services }) => services.failed)]);
    await Promise.race([haunted(site, killer, roundsRecipe()), failed]);
    say(
      `done: ${Object.entries(killer.done)
        .map(([what, count]) => `${what} ${count}`)
        .join(', ')}`,
    );
  } finally {
    await stopCrew(crew);
    await site.stop();
  }
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

async function haunted(
  site: Site,
  killer: Pick<Killer, 'left' | 'haunt' | 'survivors'>,
  recipe: object,
): Promise<void> {
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
const options = program.parse().opts<FaultOptions>();
const { kills, seed, workers } = options;
if (!Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed) || seed < 0)
  program.error('--kills is a whole number from 1, --seed one from 0');
if (!Number.isInteger(workers) || workers < 1 || workers > 64)
  program.error('--workers is a whole number from 1 to 64');
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
try {
  await (options.rounds ? rounds(options) : main(options));
} catch (error) {
  say((error as Error).message);
  process.exitCode = 1;
}
await endProcess();
