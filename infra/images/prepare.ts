import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { Command } from 'commander';
import pRetry from 'p-retry';
import { temporalEnvironment } from '../../src/runtime/environment.ts';
import { isRunnerError, RunnerError } from '../../src/runtime/errors.ts';
import { objectStoreFromEnvironment } from '../../src/storage/s3.ts';
import { ensureBucket } from '../services/bucket.ts';

const dayMs = 24 * 60 * 60 * 1000;
/** Services that were started together with this need a while. */
const patience = {
  retries: 30,
  minTimeout: 1_000,
  factor: 1,
  shouldRetry: ({ error }: { error: Error }) => !isRunnerError(error),
};

/** Makes the namespace where there is none. `days`: how long Temporal keeps the history of a run that has ended. */
async function prepareNamespace(days: number): Promise<string> {
  const { address, namespace, connectionOptions } = temporalEnvironment();
  const connection = await Connection.connect({ ...connectionOptions, connectTimeout: 5_000 });
  try {
    await connection.workflowService
      .registerNamespace({ namespace, workflowExecutionRetentionPeriod: msToTs(days * dayMs) })
      .catch((error: { code?: number }) => {
        // ALREADY_EXISTS
        if (error.code !== 6) throw error;
      });
  } finally {
    await connection.close();
  }
  return `namespace ${namespace} at ${address}`;
}

async function prepareBucket(): Promise<string> {
  const store = objectStoreFromEnvironment();
  try {
    await ensureBucket(store.client, store.bucket);
  } finally {
    store.close();
  }
  return `bucket ${store.bucket}`;
}

/** `prepare` in an image: bucket and namespace on services that come empty, as those of infra/compose. */
const program = new Command('prepare')
  .description('Makes the bucket and the namespace where they are missing.')
  .option('--retention <days>', 'how long Temporal keeps the history of a run that has ended', '30')
  .action(async ({ retention }: { retention: string }) => {
    const days = Number(retention);
    if (!Number.isInteger(days) || days < 1)
      throw new RunnerError('RecipeInvalid', `--retention is ${retention}; allowed: whole days from 1`);
    for (const part of [prepareBucket, () => prepareNamespace(days)])
      process.stdout.write(`${await pRetry(part, patience)} is there\n`);
  });

await program.parseAsync();
