import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startOf } from '../../src/runtime/built.mjs';
import { logFile } from './logs.ts';
import type { ServiceCommand } from './service.ts';
import { hasPoller } from './temporal.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The Temporal worker as a process beside the services, for `npm run up` and the demo. */
export function workerCommand(options: {
  readonly folder: string;
  readonly address: string;
  readonly environment: Readonly<Record<string, string>>;
}): ServiceCommand {
  const { flags, file } = startOf(join(root, 'src', 'worker.ts'));
  return {
    name: 'worker',
    file: process.execPath,
    args: () => [...flags, file],
    env: { ...process.env, ...options.environment },
    log: logFile(options.folder, 'worker'),
    startMs: 120_000,
    // A worker ends with a checkpoint when the upload fits its own grace period.
    stopMs: 60_000,
    ready: () => hasPoller(options.address, 'siglip2'),
  };
}
