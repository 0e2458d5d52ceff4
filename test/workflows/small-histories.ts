import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import getPort from 'get-port';
import { afterAll, beforeAll } from 'vitest';
import { prepare } from '../../infra/setup/prepare.ts';
import { ensureSearchAttributes } from '../../src/runtime/search-attributes.ts';

/** A Temporal that ends a workflow at `most` events in one history, and suggests to begin a new one at `suggested`. */
export function smallHistories({ most, suggested }: { most: number; suggested: number }) {
  let server: ChildProcess;
  let address = '';
  beforeAll(async () => {
    const { temporal } = await prepare(['temporal']);
    const port = await getPort();
    address = `127.0.0.1:${port}`;
    const limits = { error: most, warn: most, suggestContinueAsNew: suggested };
    const values = Object.entries(limits).flatMap(([name, value]) => [
      '--dynamic-config-value',
      `limit.historyCount.${name}=${value}`,
    ]);
    const options = ['--ip', '127.0.0.1', '--port', `${port}`, '--headless', '--log-level', 'never'];
    server = spawn(temporal!, ['server', 'start-dev', ...options, ...values], { stdio: 'ignore' });
    for (const began = Date.now(); ; await delay(200)) {
      try {
        const connection = await Connection.connect({ address, connectTimeout: 1000 });
        await ensureSearchAttributes(connection, { namespace: 'default', address }).finally(() => connection.close());
        return;
      } catch (error) {
        if (Date.now() - began > 60_000) throw error;
      }
    }
  }, 120_000);
  afterAll(async () => {
    const ended = once(server, 'exit');
    server.kill('SIGKILL');
    await ended;
  });
  return () => ({ temporal: { address, ui: '' } });
}
