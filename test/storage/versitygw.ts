import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, utimes } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { CreateBucketCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import getPort from 'get-port';
import { boundCommand } from '../../infra/services/bound.ts';
import { prepare } from '../../infra/setup/prepare.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import type { S3Settings } from '../../src/storage/s3-client.ts';
import '../support/ends-with-vitest.ts';

const credentials = { accessKeyId: 'TESTACCESSKEY1234', secretAccessKey: 'not-a-secret-of-anyone' };

/** A real S3 server of a test file, on a folder of its own. Nothing restarts it: it stays dead until a test says so. */
export interface TestServer {
  readonly endpoint: string;
  /** Of the bucket, plain JSON. */
  readonly settings: S3Settings;
  readonly folder: string;
  /** Where another process finds it, as the usual variables say it. */
  readonly environment: Readonly<Record<string, string>>;
  /** A store over a bucket of this server, with fewer attempts or other credentials if wanted. */
  store(changes?: Partial<S3Settings>): S3ObjectStore;
  /** Lets an object of the bucket be as old as that. */
  age(key: string, ms: number): Promise<void>;
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

export async function startServer({ versions = false } = {}): Promise<TestServer> {
  const { versitygw } = await prepare(['versitygw']);
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-s3-'));
  await mkdir(join(folder, 'root'));
  await mkdir(join(folder, 'iam'));
  const versioning = versions ? ['--versioning-dir', join(folder, 'versions')] : [];
  if (versions) await mkdir(join(folder, 'versions'));
  const port = await getPort();
  const endpoint = `http://127.0.0.1:${port}`;
  const settings = { endpoint, region: 'us-east-1', bucket: 'test', credentials };
  let child: ChildProcess | undefined;
  const start = async () => {
    const options = ['--port', `127.0.0.1:${port}`, '--quiet', '--keep-alive', '--iam-dir', join(folder, 'iam')];
    const [file, args] = boundCommand(versitygw!, [...options, 'posix', ...versioning, join(folder, 'root')]);
    child = spawn(file, args, {
      stdio: 'ignore',
      env: { ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
    });
    for (let tries = 0; !(await listens(port)); tries++) {
      if (tries > 100) throw new Error('versitygw does not listen');
      await delay(50);
    }
  };
  const kill = async () => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child?.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  };
  const stores: S3ObjectStore[] = [];
  const server: TestServer = {
    endpoint,
    folder,
    settings,
    environment: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: settings.region,
      SIGLIP2_BUCKET: settings.bucket,
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    store(changes = {}) {
      const store = new S3ObjectStore({ ...settings, ...changes });
      stores.push(store);
      return store;
    },
    async age(key, ms) {
      const then = new Date(Date.now() - ms);
      await utimes(join(folder, 'root', settings.bucket, key), then, then);
    },
    kill,
    restart: start,
    async stop() {
      for (const store of stores) store.close();
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await start();
  await server.store().client.send(new CreateBucketCommand({ Bucket: 'test' }));
  if (versions) {
    const VersioningConfiguration = { Status: 'Enabled' } as const;
    await server.store().client.send(new PutBucketVersioningCommand({ Bucket: 'test', VersioningConfiguration }));
  }
  return server;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.end());
  });
}
