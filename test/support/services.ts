import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { type Services, type StartOptions, startServices } from '../../infra/services/start.ts';
import { silent } from '../../infra/setup/progress.ts';

/**
 * A real Temporal and a real S3 server (or one of them) for a test file, on free ports and in a folder of its own;
 * stopped and removed after the file. Call it in `beforeAll` or at the top of a test file.
 */
export async function testServices(
  options: Partial<StartOptions> = {},
): Promise<Services & { readonly folder: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'siglip2-services-'));
  let services: Services | undefined;
  afterAll(async () => {
    await services?.stop();
    await rm(folder, { recursive: true, force: true });
  });
  services = await startServices({ folder, ports: 'free', progress: silent, ...options });
  return { ...services, folder };
}
