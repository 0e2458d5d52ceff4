import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { ensureSearchAttributes, searchAttributes } from '../../src/runtime/search-attributes.ts';
import { logFile } from './logs.ts';
import type { ServiceCommand } from './service.ts';

const namespace = 'default';

/** Temporal's development server with its web page, on a database file, reachable from this machine alone. */
export function temporalCommand(options: {
  readonly folder: string;
  readonly program: string;
  readonly port: number;
  readonly uiPort: number;
}): ServiceCommand {
  const { folder, program, port, uiPort } = options;
  const data = join(folder, 'temporal');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const address = `127.0.0.1:${port}`;
  const attributes = Object.entries(searchAttributes).flatMap(([name, { type }]) => [
    '--search-attribute',
    `${name}=${type}`,
  ]);
  return {
    name: 'temporal',
    file: program,
    args: () => [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', `${port}`, '--ui-ip', '127.0.0.1'],
      ...['--ui-port', `${uiPort}`, '--namespace', namespace, '--db-filename', join(data, 'temporal.sqlite')],
      ...['--log-level', 'error', ...attributes],
    ],
    // A profile of the user's own Temporal has no say in this server.
    env: { ...withoutTemporal(process.env), TEMPORAL_DISABLE_CONFIG_FILE: 'true' },
    log: logFile(folder, 'temporal'),
    startMs: 60_000,
    stopMs: 10_000,
    // A database of an older version, or another Temporal, may lack some.
    ready: () =>
      withConnection(address, async (connection) => {
        const made = await ensureSearchAttributes(connection, { namespace, address });
        return made.length === 0;
      }),
  };
}

function withoutTemporal(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}

async function withConnection<T>(address: string, use: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address, connectTimeout: 1_000 });
  try {
    return await connection.withDeadline(Date.now() + 3_000, () => use(connection));
  } finally {
    await connection.close();
  }
}

/** True when a worker polls this task queue: for workflows (1), or for activities (2). */
export function hasPoller(address: string, taskQueue: string, taskQueueType: 1 | 2 = 1): Promise<boolean> {
  return withConnection(address, async (connection) => {
    const { pollers } = await connection.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name: taskQueue },
      taskQueueType,
    });
    const fresh = Date.now() - 120_000;
    return (pollers ?? []).some((poller) => Number(poller.lastAccessTime?.seconds ?? 0) * 1000 > fresh);
  });
}
