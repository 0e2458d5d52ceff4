import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcess } from '../../src/runtime/end-process.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { reportError } from '../../src/runtime/report-error.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { newestStep, until } from '../faults/harness.ts';
import { verifyCommits } from '../faults/verify.ts';
import { composeProgram } from './arguments.ts';
import { loadCompose } from './loader.ts';
import { type NativeCompose, startNativeCompose } from './site.ts';

const began = Date.now();
const say = (line: string) =>
  process.stdout.write(`${((Date.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);

const steps = 400;

/** The smoke recipe, long enough to be hit several times. */
function smoke(): object {
  const text = readFileSync(new URL('../../infra/recipes/smoke.json', import.meta.url), 'utf8');
  const recipe = JSON.parse(text);
  return { ...recipe, schedule: { ...recipe.schedule, total: { steps } } };
}

const start = ({ client }: NativeCompose, run: string) =>
  client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
    taskQueue: 'siglip2',
    workflowId: run,
    args: [smoke()],
  });

/** The hash that a run ends with. The answer may be lost with the server: it is asked for until it is there. */
async function shaOf({ client }: NativeCompose, run: string): Promise<string> {
  for (;;) {
    try {
      const { phases } = await client.workflow.getHandle<typeof siglip2Recipe>(run).result();
      return phases.map(({ checkpoint }) => checkpoint.sha256).join(' ');
    } catch (error) {
      if ((error as Error).name === 'WorkflowFailedError') throw error;
      await delay(500);
    }
  }
}

/** Kills PostgreSQL while a run trains, and then the server that has lost it, and starts each again. */
async function killBoth({ postgresql, server, store }: NativeCompose, run: string, from: number): Promise<void> {
  await until(async () => (await newestStep({ store }, run)) >= from);
  postgresql.kill();
  const step = await newestStep({ store }, run);
  assert.ok(step < steps, 'the run ended before it was hit');
  say(`PostgreSQL killed at step ${step}`);
  await delay(3_000);
  await postgresql.start();
  server.kill();
  await server.start();
  say('PostgreSQL is back; the Temporal server was killed as well, and is back');
}

async function main(kills: number): Promise<void> {
  for (const files of [['compose.yaml'], ['compose.yaml', 'compose.cuda.yaml']])
    say(`Docker Compose's own reader takes ${files.join(' with ')}: ${(await loadCompose(...files)).length} services`);
  const site = await startNativeCompose(say);
  try {
    await start(site, 'undisturbed');
    const expected = await shaOf(site, 'undisturbed');
    say(`undisturbed: ${expected}`);
    await start(site, 'killed');
    const result = shaOf(site, 'killed');
    result.catch(() => {});
    for (let kill = 0; kill < kills; kill++) await killBoth(site, 'killed', Math.round((steps * (kill + 0.4)) / kills));
    assert.equal(await result, expected);
    say(`killed: the same bytes, ${(await verifyCommits(site.store, 'killed')).length} commits verified`);
  } finally {
    await site.stop();
  }
}

const program = composeProgram().action(async ({ kills }: { kills: number }) => {
  if (!Number.isInteger(kills) || kills < 1 || kills > 9)
    throw new RunnerError('RecipeInvalid', `--kills is ${kills}; allowed: a whole number from 1 to 9`);
  await main(kills);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
try {
  await program.parseAsync();
} catch (error) {
  reportError(error);
}
await endProcess();
