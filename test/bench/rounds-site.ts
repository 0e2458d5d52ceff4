import { mkdirSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { type Services, startServices } from '../../infra/services/start.ts';
import { createProgress } from '../../infra/setup/progress.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import { LineProcess } from './line-process.ts';
import type { SlowPlace } from './link-namespaces.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import { withFolder } from './temporary-folder.ts';

/** Does `measure` for each variant of a benchmark that is wanted, with services and a folder of its own. */
export async function eachWithServices<N extends keyof typeof benchmarks>(
  name: N,
  only: string,
  measure: (variant: (typeof benchmarks)[N][number], folder: string, services: Services) => Promise<void>,
): Promise<void> {
  for (const variant of benchmarks[name]) {
    if (!isWanted(only, name, variant)) continue;
    Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
    await withFolder(async (folder) => {
      const services = await startServices({ folder, ports: 'free', progress: createProgress() });
      try {
        await measure(variant, folder, services);
      } finally {
        await services.stop();
      }
    });
  }
}

/** What this process asks of services. */
export interface ServiceClients {
  readonly store: S3ObjectStore;
  readonly client: Client;
  /** For workers. */
  readonly native: NativeConnection;
}

export async function withClients<T>(services: Services, use: (clients: ServiceClients) => Promise<T>): Promise<T> {
  const { address } = services.temporal!;
  const store = new S3ObjectStore(services.s3!);
  const [connection, native] = [await Connection.connect({ address }), await NativeConnection.connect({ address })];
  try {
    return await use({ store, client: new Client({ connection }), native });
  } finally {
    await connection.close();
    await native.close();
    store.close();
  }
}

export type Helper = LineProcess<unknown, unknown>;

const portOf = (address: string) => address.split(':').at(-1)!;
const portsOf = ({ s3, temporal }: Services) => [portOf(s3!.endpoint!), portOf(temporal!.address)] as const;

/** What carries a place's connections to services, which listen on loopback alone. */
export const startRelay = (services: Services, { host }: SlowPlace): Promise<Helper> =>
  LineProcess.start('relay', ...ourProcess('relay-process.ts', host, ...portsOf(services)));

/** A worker whose steps take `stepMs`, here or in a place that has a relay. `folder` is made. */
export function startReplica(services: Services, folder: string, stepMs: number, place?: SlowPlace): Promise<Helper> {
  mkdirSync(folder);
  const [node, args] = ourProcess('replica-process.ts', folder, `${stepMs}`);
  const [program, ...words] = [...(place?.enter ?? []), node, ...args];
  const [s3, temporal] = portsOf(services);
  return LineProcess.start('worker', program!, words, {
    ...process.env,
    ...services.environment,
    ...(place && { AWS_ENDPOINT_URL: `http://${place.host}:${s3}`, TEMPORAL_ADDRESS: `${place.host}:${temporal}` }),
  });
}
