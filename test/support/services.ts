import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll } from 'vitest';
import { type Services, type StartOptions, startServices } from '../../infra/services/start.ts';
import { silent } from '../../infra/setup/progress.ts';
import './ends-with-vitest.ts';

export type TestServices = Services & { readonly folder: string };

/**
 * A real Temporal and a real S3 server (or one of them) for a test file, on free ports and in a folder of its own;
 * stopped and removed after the file. Call it at the top of the file; what it returns can be called in tests.
 */
export function testServices(options: Partial<StartOptions> = {}): () => TestServices {
  let services: TestServices | undefined;
  // What beforeAll returns is called after all tests; a hook registered within a hook would never run.
  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'siglip2-services-'));
    // A worker has the lock of its device and its scratch here too: with those of the machine's own worker, or of one of another
    // file, its runs would wait until that one ends.
    const environment = { SIGLIP2_STATE: folder, SIGLIP2_SCRATCH: join(folder, 'scratch') };
    const started = await startServices({
      folder,
      ports: 'free',
      progress: silent,
      environment,
      bound: true,
      ...options,
    });
    services = { ...started, folder };
    return async () => {
      await started.stop();
      await rm(folder, { recursive: true, force: true });
    };
  }, 120_000);
  return () => {
    if (!services) throw new Error('testServices(): the services are there in tests and in later hooks');
    return services;
  };
}
