import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { type Services, startServices } from '../../infra/services/start.ts';
import { createProgress } from '../../infra/setup/progress.ts';
import { listCommits } from '../../src/checkpoint/commits.ts';
import { chunkBytes, rangesAtOnce } from '../../src/checkpoint/download.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import { workPerByte, workPerNumber } from '../../src/rounds/measured.ts';
import { numbersIn } from '../../src/rounds/parameters.ts';
import { type RoundTime, roundTime } from '../../src/rounds/time.ts';
import { partsInFlight, usualPartBytes } from '../../src/storage/multipart.ts';
import { S3ObjectStore } from '../../src/storage/s3.ts';
import { exchangedOf } from '../../src/train/exchanged.ts';
import { tinySettings } from '../train/settings.ts';
import type { BenchOptions } from './arguments.ts';
import { LineProcess } from './line-process.ts';
import { type SlowPlace, slowPlace } from './link-namespaces.ts';
import { benchmarks, isWanted } from './names.ts';
import { ourProcess } from './our-process.ts';
import type { Report } from './record.ts';
import { benchPhase, mergingWorker, startPhase } from './rounds-phase.ts';
import { withFolder } from './temporary-folder.ts';

const name = 'rounds/link';
const [workers, steps, stepMs, rounds] = [2, 20, 1000, 3];

/** 20.3 million parameters, of which a table of tokens is nearly nothing. */
const settings: PhaseSettings = {
  ...tinySettings,
  model: {
    vision: { width: 384, depth: 5, mlp: 1536, heads: 6, patch: 16, resolution: 64 },
    text: { width: 384, depth: 5, mlp: 1536, heads: 6, length: 16, vocabulary: 64 },
  },
};
const replicas = replicasSchema.parse({ number: workers, steps, exchange: 'int8', moments: 'reset' });

/**
 * Workers of which each has a link of its own, of so many Mbit/s each way, with real files of a round, a real store and Temporal, and
 * steps that only take their time. The merger is beside the store. Links are slow from the end of the first round on, in which all
 * fetch the checkpoint; it does not count.
 */
export async function benchRoundsLink({ only }: BenchOptions, report: Report): Promise<void> {
  for (const variant of benchmarks[name]) {
    if (!isWanted(only, name, variant)) continue;
    Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
    await withFolder(async (folder) => {
      const services = await startServices({ folder, ports: 'free', progress: createProgress() });
      try {
        const seconds = await measure(folder, services, Number.parseInt(variant, 10));
        const planned = planOf(Number.parseInt(variant, 10));
        const ms = 1000 * seconds;
        const busy = { measured: (steps * stepMs) / ms, planned: planned.utilisation, plannedMs: 1000 * planned.wall };
        report({ name, variant, ms_min: ms, ms_median: ms, runs: rounds - 1, busy });
      } finally {
        await services.stop();
      }
    });
  }
}

/** Seconds of a round. */
async function measure(folder: string, services: Services, megabits: number): Promise<number> {
  const { address } = services.temporal!;
  const portOf = (url: string) => url.split(':').at(-1)!;
  const ports = [portOf(services.s3!.endpoint!), portOf(address)] as const;
  const store = new S3ObjectStore(services.s3!);
  const places: SlowPlace[] = [];
  const children: LineProcess<unknown, unknown>[] = [];
  const [connection, native] = [await Connection.connect({ address }), await NativeConnection.connect({ address })];
  try {
    for (let i = 0; i < workers; i++) places.push(slowPlace(i));
    const started = places.flatMap((place, i) => {
      const own = join(folder, `worker-${i}`);
      mkdirSync(own);
      const [node, args] = ourProcess('replica-process.ts', own, `${stepMs}`);
      const environment = {
        ...services.environment,
        AWS_ENDPOINT_URL: `http://${place.host}:${ports[0]}`,
        TEMPORAL_ADDRESS: `${place.host}:${ports[1]}`,
      };
      const [enter, ...within] = place.enter;
      // The worker connects when it has loaded, long after the relay.
      return [
        LineProcess.start<unknown, unknown>('relay', ...ourProcess('relay-process.ts', place.host, ...ports)),
        LineProcess.start<unknown, unknown>('worker', enter!, [...within, node, ...args], {
          ...process.env,
          ...environment,
        }),
      ];
    });
    children.push(...(await Promise.all(started)));
    const worker = await mergingWorker(native, store, join(folder, 'merger'));
    const running = worker.run();
    const handle = await startPhase(new Client({ connection }), store, { settings, replicas, rounds });
    const firstRound = async () => (await listCommits(store, benchPhase, 0)).length > 1;
    while (!(await firstRound())) await delay(200);
    for (const place of places) place.slow(megabits);
    await handle.result();
    worker.shutdown();
    await running;
    const commits = await listCommits(store, benchPhase, 0);
    const times = commits.filter(({ step }) => step > 0).map(({ committed }) => Date.parse(committed));
    return (Math.max(...times) - Math.min(...times)) / 1000 / (rounds - 1);
  } finally {
    for (const child of children) await child.close();
    for (const place of places) place.remove();
    await connection.close();
    await native.close();
    store.close();
  }
}

/** What `plan --link` says of such a round. */
function planOf(megabits: number): RoundTime {
  const { parameters, others } = exchangedOf(settings, replicas, { tensors: new Map() });
  return roundTime({
    ...{ parameters, others, besideMoments: others, exchange: replicas.exchange, workers, steps },
    ...{ outer: 4 * numbersIn(parameters), state: 12 * numbersIn(parameters), everyRow: new Set<string>() },
    ...{ examples: settings.batches.batch, stepSeconds: stepMs / 1000, tokens: 1, dataBytes: 0 },
    ...{ work: workPerNumber, passes: workPerByte },
    link: { bits: megabits * 1e6, latency: 0, loss: 0 },
    mergerLink: { bits: 1e10, latency: 0, loss: 0 },
    up: { connections: partsInFlight, part: usualPartBytes },
    down: { connections: rangesAtOnce, part: chunkBytes },
  });
}
