import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { watchRun } from '../../infra/demo/watch.ts';
import { startServices } from '../../infra/services/start.ts';
import { createProgress } from '../../infra/setup/progress.ts';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import type { RecipeResult } from '../../workflows/results.ts';
import { endOnSignal } from './end-on-signal.ts';

/** Services and a worker of their own, for trainings that are compared. */
export interface RecipeRuns {
  readonly store: ObjectStore;
  readonly client: Client;
  say(line: string): void;
  /** What is waited for, or why the services ended before. */
  orFailed<T>(what: Promise<T>): Promise<T>;
  /** Runs a recipe to its end, and tells where it stands. */
  run(name: string, recipe: object): Promise<RecipeResult>;
}

/** Starts them in a folder of their own, and takes all away when `use` has ended. */
export async function withRecipeRuns(name: string, use: (runs: RecipeRuns) => Promise<void>): Promise<void> {
  endOnSignal();
  const folder = mkdtempSync(join(tmpdir(), `siglip2-${name}-`));
  const progress = createProgress();
  const environment = { SIGLIP2_STATE: folder };
  const services = await startServices({ folder, worker: true, ports: 'free', progress, environment });
  // After what ends the services.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const connection = await Connection.connect({ address: services.temporal!.address });
  const client = new Client({ connection });
  const store = new S3ObjectStore(services.s3!);
  const orFailed = <T>(what: Promise<T>) => Promise.race([what, services.failed]);
  const run = async (workflowId: string, recipe: object): Promise<RecipeResult> => {
    const start = { taskQueue: 'siglip2', workflowId, args: [recipe] as [object] };
    const handle = await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', start);
    return orFailed(watchRun(client, store, handle, progress));
  };
  try {
    await use({ store, client, say: progress.say, orFailed, run });
  } finally {
    await connection.close();
    store.close();
    await services.stop();
  }
}
