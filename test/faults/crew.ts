import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Services } from '../../infra/services/start.ts';
import { isAlive, type ProcessName } from '../../src/runtime/services-state.ts';
import { type Site, startWorker } from './harness.ts';
import { startWeather, type WeatherProxy } from './weather.ts';

/** A worker of several, with a folder, a device and ways to the services of its own. */
export interface CrewMember {
  readonly name: string;
  readonly services: Services;
  readonly s3: WeatherProxy;
  readonly temporal: WeatherProxy;
  /** Its trainer now, whether that still lives or not. */
  trainer(): ProcessName | null;
}

/** So many workers of a site that was started without one; they start at once. */
export async function startCrew(site: Site, count: number): Promise<CrewMember[]> {
  const portOf = (url: string) => Number(url.split(':').at(-1));
  const { s3, temporal } = site.services;
  return Promise.all(
    Array.from({ length: count }, async (_, i): Promise<CrewMember> => {
      const name = `worker-${i}`;
      const ways = {
        s3: await startWeather(portOf(s3!.endpoint!)),
        temporal: await startWeather(portOf(temporal!.address)),
      };
      const services = await startWorker(site, name, {
        AWS_ENDPOINT_URL: `http://127.0.0.1:${ways.s3.port}`,
        TEMPORAL_ADDRESS: `127.0.0.1:${ways.temporal.port}`,
      });
      const trainer = () => {
        try {
          return JSON.parse(readFileSync(join(site.folder, name, 'device.lock.trainer'), 'utf8')) as ProcessName;
        } catch {
          return null;
        }
      };
      return { name, services, ...ways, trainer };
    }),
  );
}

export async function stopCrew(crew: readonly CrewMember[]): Promise<void> {
  for (const { s3, temporal } of crew) for (const way of [s3, temporal]) way.become('calm');
  await Promise.all(crew.map(({ services }) => services.stop()));
  await Promise.all(crew.flatMap(({ s3, temporal }) => [s3.close(), temporal.close()]));
}

/** The processes of a member that live now: its worker, and its trainer. */
export function processesOf({ services, trainer }: CrewMember): number[] {
  const own = trainer();
  return [services.pid('worker'), own && isAlive(own) ? own.pid : null].filter((pid) => pid !== null);
}
