import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import getPort from 'get-port';
import { makeEmojiDataset } from '../../infra/emoji/make.ts';
import { startServices } from '../../infra/services/start.ts';
import { provideProgram } from '../../infra/setup/go-program.ts';
import { createProgress, silent } from '../../infra/setup/progress.ts';
import { endProcess } from '../../src/runtime/end-process.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { paths } from '../../src/runtime/paths.ts';
import { reportError } from '../../src/runtime/report-error.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { newestStep, until } from '../faults/harness.ts';
import { verifyCommits } from '../faults/verify.ts';
import { answerOf } from '../support/answer-of.ts';
import { composeProgram } from './arguments.ts';
import { startPostgresql } from './postgresql.ts';
import { makeSchema, startTemporalServer } from './temporal-server.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const began = Date.now();
const say = (line: string) =>
  process.stdout.write(`${((Date.now() - began) / 1000).toFixed(1).padStart(7)} s  ${line}\n`);

/** The smoke recipe, long enough to be hit several times. */
function smoke(steps: number): object {
  const recipe = JSON.parse(readFileSync(join(root, 'infra/recipes/smoke.json'), 'utf8'));
  return { ...recipe, schedule: { ...recipe.schedule, total: { steps } } };
}

async function main(kills: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-compose-'));
  const { path: program } = await provideProgram('temporal-server', createProgress(), paths().cache);
  const postgresql = await startPostgresql(
    join(folder, 'database'),
    await getPort({ host: '127.0.0.1' }),
    'not-a-secret-of-anybody',
  );
  const ends: (() => Promise<unknown>)[] = [() => postgresql.stop()];
  try {
    await makeSchema(program, postgresql);
    // As at each start of compose.
    await makeSchema(program, postgresql);
    const server = await startTemporalServer(program, folder, postgresql);
    ends.push(() => server.stop());
    say(`Temporal server with PostgreSQL on ${server.address}, its tables made by temporal-schema.sh, twice`);
    const services = await startServices({ folder: join(folder, 's3'), only: ['s3'], progress: silent });
    ends.push(() => services.stop());
    const environment = { ...services.environment, TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: 'default' };
    const prepare = spawn(process.execPath, ['--import', 'tsx', 'infra/images/start.ts', 'prepare'], {
      cwd: root,
      env: { ...process.env, ...environment },
    });
    const prepared = await answerOf(prepare);
    assert.equal(prepared.code, 0, prepared.said);
    const store = new S3ObjectStore(services.s3!);
    await makeEmojiDataset(store, { concepts: 64, scenes: 64 });
    const own = { ...environment, SIGLIP2_STATE: join(folder, 'worker') };
    const worker = await startServices({
      folder: join(folder, 'worker'),
      only: [],
      worker: true,
      progress: silent,
      environment: own,
    });
    ends.push(() => worker.stop());
    const connection = await Connection.connect({ address: server.address });
    ends.push(() => connection.close());
    const client = new Client({ connection });

    const start = (run: string) =>
      client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
        taskQueue: 'siglip2',
        workflowId: run,
        args: [smoke(400)],
      });
    const end = async (run: string): Promise<string> => {
      // The answer itself may be lost with the server: it is asked for until it is there.
      for (;;) {
        try {
          const { phases } = await client.workflow.getHandle<typeof siglip2Recipe>(run).result();
          return phases.map(({ checkpoint }) => checkpoint.sha256).join(' ');
        } catch (error) {
          if ((error as Error).name === 'WorkflowFailedError') throw error;
          await until(() =>
            connection.workflowService.getSystemInfo({}).then(
              () => true,
              () => false,
            ),
          );
        }
      }
    };
    await start('undisturbed');
    const expected = await end('undisturbed');
    say(`undisturbed: ${expected}`);

    await start('killed');
    const result = end('killed');
    result.catch(() => {});
    for (let kill = 0; kill < kills; kill++) {
      const step = Math.round((400 * (kill + 0.5)) / kills);
      await until(async () => (await newestStep({ store } as never, 'killed')) >= step - 20);
      postgresql.kill();
      say(`PostgreSQL killed at step ${await newestStep({ store } as never, 'killed')}`);
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      await postgresql.start();
      server.kill();
      await server.start();
      say('PostgreSQL is back; the Temporal server was killed too, and is back');
    }
    assert.equal(await result, expected);
    const commits = await verifyCommits(store, 'killed');
    say(`killed: the same bytes, ${commits.length} commits verified`);
    store.close();
  } finally {
    for (const stop of ends.reverse()) await stop().catch((error: Error) => say(error.message));
    rmSync(folder, { recursive: true, force: true });
  }
}

const program = composeProgram().action(async ({ kills }: { kills: number }) => {
  if (!Number.isInteger(kills) || kills < 1 || kills > 9)
    throw new RunnerError('RecipeInvalid', `--kills is ${kills}; allowed: a whole number from 1 to 9`);
  await main(kills);
});

try {
  await program.parseAsync();
} catch (error) {
  reportError(error);
}
await endProcess();
