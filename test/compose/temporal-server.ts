import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Connection } from '@temporalio/client';
import getPort, { portNumbers } from 'get-port';
import { runTool } from '../../infra/setup/run-tool.ts';
import { until } from '../faults/harness.ts';
import type { Postgresql } from './postgresql.ts';

export interface TemporalServer {
  readonly address: string;
  readonly log: string;
  kill(): void;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** What the server's own image makes of the variables of `infra/compose`, on ports that are free here. */
async function configuration(postgresql: Postgresql): Promise<{ readonly port: number; readonly written: object }> {
  // The table of members keeps a port in a smallint.
  const free = () => getPort({ host: '127.0.0.1', port: portNumbers(20_000, 32_000) });
  const rpc = async (more: object = {}) => ({
    rpc: { grpcPort: await free(), membershipPort: await free(), bindOnIP: '127.0.0.1', ...more },
  });
  const store = (databaseName: string) => ({
    sql: {
      pluginName: 'postgres12',
      databaseName,
      connectAddr: `127.0.0.1:${postgresql.port}`,
      connectProtocol: 'tcp',
      user: 'temporal',
      password: postgresql.password,
      maxConns: 20,
      maxIdleConns: 20,
      maxConnLifetime: '1h',
    },
  });
  const frontend = await rpc({ httpPort: await free() });
  const port = frontend.rpc.grpcPort;
  const active = { enabled: true, initialFailoverVersion: 1, rpcName: 'frontend', rpcAddress: `127.0.0.1:${port}` };
  const written = {
    log: { stdout: true, level: 'warn' },
    persistence: {
      numHistoryShards: 4,
      defaultStore: 'default',
      visibilityStore: 'visibility',
      datastores: { default: store('temporal'), visibility: store('temporal_visibility') },
    },
    global: { membership: { maxJoinDuration: '30s', broadcastAddress: '127.0.0.1' } },
    services: { frontend, matching: await rpc(), history: await rpc(), worker: await rpc() },
    clusterMetadata: {
      enableGlobalNamespace: false,
      failoverVersionIncrement: 10,
      masterClusterName: 'active',
      currentClusterName: 'active',
      clusterInformation: { active },
    },
    dcRedirectionPolicy: { policy: 'noop' },
    publicClient: { hostPort: `127.0.0.1:${port}` },
  };
  return { port, written };
}

/** The tables of both databases, by the very script that `infra/compose` runs. */
export async function makeSchema(program: string, postgresql: Postgresql): Promise<void> {
  const script = fileURLToPath(new URL('../../infra/compose/temporal-schema.sh', import.meta.url));
  const env = {
    PATH: `${dirname(program)}:${process.env.PATH}`,
    SQL_PLUGIN: 'postgres12',
    SQL_HOST: '127.0.0.1',
    SQL_PORT: `${postgresql.port}`,
    SQL_USER: 'temporal',
    SQL_PASSWORD: postgresql.password,
  };
  await runTool('sh', [script], { env });
}

export async function startTemporalServer(
  program: string,
  folder: string,
  postgresql: Postgresql,
): Promise<TemporalServer> {
  const { port, written } = await configuration(postgresql);
  const own = join(folder, 'temporal');
  mkdirSync(join(own, 'config'), { recursive: true });
  // JSON is YAML.
  writeFileSync(join(own, 'config/development.yaml'), JSON.stringify(written), { mode: 0o600 });
  const address = `127.0.0.1:${port}`;
  const log = join(own, 'server.log');
  let child: ChildProcess | undefined;
  const answers = async () => {
    const connection = await Connection.connect({ address, connectTimeout: 1_000 }).catch(() => null);
    await connection?.close();
    return connection !== null;
  };
  const self: TemporalServer = {
    address,
    log,
    kill: () => void child!.kill('SIGKILL'),
    async start() {
      child = spawn(
        program,
        ['--root', own, '--config', 'config', '--env', 'development', '--allow-no-auth', 'start'],
        {
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (text) => appendFileSync(log, text));
      const started = child;
      process.once('exit', () => started.kill('SIGKILL'));
      await until(() => {
        if (started.exitCode !== null)
          throw new Error(`the Temporal server ended: ${readFileSync(log, 'utf8').slice(-2000)}`);
        return answers();
      });
    },
    async stop() {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child!.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    },
  };
  await self.start();
  return self;
}
