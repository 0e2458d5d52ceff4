import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import getPort from 'get-port';
import { makeEmojiDataset } from '../../infra/emoji/make.ts';
import { startServices } from '../../infra/services/start.ts';
import { provideProgram } from '../../infra/setup/go-program.ts';
import { createProgress, silent } from '../../infra/setup/progress.ts';
import { paths } from '../../src/runtime/paths.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import { answerOf } from '../support/answer-of.ts';
import { type Postgresql, startPostgresql } from './postgresql.ts';
import { makeSchema, startTemporalServer, type TemporalServer } from './temporal-server.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The processes of `infra/compose` that a run needs, on this machine, with a small real data set in the bucket. */
export interface NativeCompose {
  readonly postgresql: Postgresql;
  readonly server: TemporalServer;
  readonly store: S3ObjectStore;
  readonly client: Client;
  stop(): Promise<void>;
}

/** Bucket and namespace, by what the service `prepare` starts. */
async function prepare(environment: Readonly<Record<string, string>>): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'infra/images/start.ts', 'prepare'], {
    cwd: root,
    env: { ...process.env, ...environment },
  });
  const { code, said } = await answerOf(child);
  assert.equal(code, 0, said);
}

export async function startNativeCompose(say: (line: string) => void): Promise<NativeCompose> {
  const folder = mkdtempSync(join(tmpdir(), 'siglip2-compose-'));
  // PostgreSQL may be another user's, who has to get through.
  chmodSync(folder, 0o711);
  const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  const stop = async () => {
    for (const end of ends.reverse()) await Promise.resolve(end()).catch((error: Error) => say(error.message));
  };
  try {
    const { path: program } = await provideProgram('temporal-server', createProgress(), paths().cache);
    const port = await getPort({ host: '127.0.0.1' });
    const postgresql = await startPostgresql(join(folder, 'database'), port, 'not-a-secret-of-anybody');
    ends.push(() => postgresql.stop());
    await makeSchema(program, postgresql);
    // As at each start of compose.
    await makeSchema(program, postgresql);
    const server = await startTemporalServer(program, folder, postgresql);
    ends.push(() => server.stop());
    say(`Temporal server with PostgreSQL on ${server.address}, its tables made by temporal-schema.sh, twice`);
    const s3 = await startServices({ folder: join(folder, 's3'), only: ['s3'], progress: silent });
    ends.push(() => s3.stop());
    const environment = { ...s3.environment, TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: 'default' };
    await prepare(environment);
    const store = new S3ObjectStore(s3.s3!);
    ends.push(() => store.close());
    await makeEmojiDataset(store, { concepts: 64, scenes: 64 });
    const own = join(folder, 'worker');
    const worker = await startServices({
      folder: own,
      only: [],
      worker: true,
      progress: silent,
      environment: { ...environment, SIGLIP2_STATE: own },
    });
    ends.push(() => worker.stop());
    const connection = await Connection.connect({ address: server.address });
    ends.push(() => connection.close());
    return { postgresql, server, store, client: new Client({ connection }), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
