import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import {
  DefaultLogger,
  makeTelemetryFilterString,
  type NativeConnection,
  Runtime,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import getPort from 'get-port';
import { createActivities } from '../activities/index.ts';
import { endAttempts, leftAttempts } from '../activities/left-attempts.ts';
import { deviceKind } from '../infra/setup/device.ts';
import { trainerEnvironment } from '../infra/setup/tensorflow.ts';
import { annotateQueue, deviceQueue } from '../workflows/policies.ts';
import { pricedByDevice, pricesFromEnvironment } from './costs/prices.ts';
import { connectPatiently } from './runtime/connect.ts';
import { ownDevice } from './runtime/device.ts';
import { deviceMemory, deviceName } from './runtime/device-memory.ts';
import { endProcess } from './runtime/end-process.ts';
import { metricsAddress } from './runtime/environment.ts';
import { isRunnerError } from './runtime/errors.ts';
import { log } from './runtime/log.ts';
import { makeOwnFolder } from './runtime/make-folder.ts';
import { paths } from './runtime/paths.ts';
import { payloadConverter } from './runtime/payload-codec.ts';
import { reportError } from './runtime/report-error.ts';
import { ownScratch } from './runtime/scratch.ts';
import { variable } from './runtime/variables.ts';
import { codeVersion } from './runtime/version.ts';
import { workflowBundle } from './runtime/workflow-bundle.ts';
import { objectStoreFromEnvironment } from './storage/s3.ts';
import { Gauges } from './telemetry/gauges.ts';
import { serveMetrics } from './telemetry/metrics-server.ts';
import { trainerVariables } from './trainer/environment.ts';
import { createTrainerProcess } from './trainer/process.ts';
import { lightQueue, workerProgram } from './worker-program.ts';

const options: Partial<WorkerOptions> = {
  // After SIGTERM the shard in progress commits what it has: this long, then the last commit stands.
  shutdownForceTime: `${Number(variable('SIGLIP2_GRACE')) || 50} s`,
  // The details of the last heartbeat are what `siglip2 status` shows.
  maxHeartbeatThrottleInterval: '1s',
  defaultHeartbeatThrottleInterval: '1s',
  // When a worker was killed, its successor answers queries after this long.
  stickyQueueScheduleToStartTimeout: '3s',
};

/**
 * The Temporal worker: workflows and light activities on `siglip2`, device work on `siglip2-gpu`, one at a time, and
 * detectors on `siglip2-annotate`, one at a time too.
 * It survives an outage of Temporal and of the store, and ends on SIGTERM with a checkpoint.
 */
async function main(queues: readonly string[]): Promise<void> {
  makeOwnFolder(paths().state, 'SIGLIP2_STATE');
  const left = leftAttempts(paths().scratch);
  const scratch = ownScratch(paths().scratch);
  const ending = new AbortController();
  // Temporal's own metrics and ours are on one Prometheus endpoint, when it is asked for.
  const address = metricsAddress();
  const temporal = address === null ? null : `127.0.0.1:${await getPort({ host: '127.0.0.1' })}`;
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => {
      log[level === 'ERROR' ? 'error' : 'warn']({ ...meta }, message);
    }),
    // What the SDK's native part says belongs in the same log.
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN' }) },
      ...(temporal === null ? {} : { metrics: { prometheus: { bindAddress: temporal } } }),
    },
    shutdownSignals: [],
  });
  const gauges = new Gauges();
  const kind = deviceKind();
  const prices = pricesFromEnvironment(pricedByDevice() ? await deviceName(kind) : null);
  if (address !== null && temporal !== null) await serveMetrics({ address, gauges, temporal });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      log.info({ signal }, 'ending: a shard in progress commits a checkpoint first');
      ending.abort();
    });
  }
  const device = ownDevice(kind);
  const trainer = queues.includes(deviceQueue)
    ? createTrainerProcess({
        lockFile: join(paths().state, `${device.name}.lock`),
        log,
        env: { ...trainerVariables(), ...device.env, ...(await trainerEnvironment()) },
      })
    : undefined;
  // It will be wanted as soon as Temporal knows: what hinders it is told then.
  if (left.some(({ taskQueue }) => taskQueue === deviceQueue)) void trainer?.device().catch(() => {});
  // Only who trains here knows into what a step has to fit.
  const memory = trainer && (await deviceMemory(kind));
  const store = objectStoreFromEnvironment();
  const dataConverter = payloadConverter();
  const activities = createActivities({
    store,
    scratch,
    log,
    gauges,
    prices,
    codeVersion: codeVersion(),
    ...(trainer ? { trainer } : {}),
    ...(memory ? { memory } : {}),
  });
  try {
    while (!ending.signal.aborted) {
      const connected = await connectPatiently(ending.signal);
      if (!connected) break;
      const { connection, namespace, address } = connected;
      try {
        log.info({ address, namespace, bucket: store.bucket, queues }, 'worker starts');
        const client = { connection, namespace, ...(dataConverter && { dataConverter }) };
        void endAttempts(left.splice(0), client, log);
        const common = { ...client, activities };
        await serve(common, queues, ending.signal);
      } catch (error) {
        if (isRunnerError(error)) throw error;
        // The connection itself failed for good, as when the server was away for very long: a new one may do.
        log.error({ err: error }, 'the worker stopped; it starts again');
        await delay(5_000, undefined, { signal: ending.signal }).catch(() => {});
      } finally {
        await connection.close().catch(() => {});
      }
    }
  } finally {
    await trainer?.close();
    store.close();
  }
  log.info({}, 'worker ended');
}

/** Runs a worker for each queue until the signal, or until one of them fails. */
async function serve(
  common: { connection: NativeConnection; namespace: string; activities: object; dataConverter?: DataConverter },
  queues: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const workers: Worker[] = [];
  const runs: Promise<void>[] = [];
  const shutdown = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const run = async (own: Pick<WorkerOptions, 'taskQueue'> & Partial<WorkerOptions>) => {
    const worker = await Worker.create({ ...common, ...options, ...own });
    workers.push(worker);
    const running = worker.run();
    running.catch(() => {});
    runs.push(running);
    if (signal.aborted) shutdown();
  };
  signal.addEventListener('abort', shutdown);
  try {
    const starts = [];
    if (queues.includes(deviceQueue)) {
      // One device, one slot: what waits is taken by whichever worker is free first.
      starts.push(run({ taskQueue: deviceQueue, maxConcurrentActivityTaskExecutions: 1 }));
    }
    // A detector takes all cores.
    if (queues.includes(annotateQueue))
      starts.push(run({ taskQueue: annotateQueue, maxConcurrentActivityTaskExecutions: 1 }));
    if (queues.includes(lightQueue)) {
      const bundled = workflowBundle({
        workflowsPath: fileURLToPath(new URL('../workflows/index.ts', import.meta.url)),
        failureConverterPath: common.dataConverter?.failureConverterPath,
        logger: Runtime.instance().logger,
      });
      const serveLight = async () =>
        run({ taskQueue: lightQueue, workflowBundle: await bundled, maxConcurrentActivityTaskExecutions: 4 });
      // A device need not wait until the workflows are bundled.
      starts.push(serveLight());
    }
    const failed = (await Promise.allSettled(starts)).find((start) => start.status === 'rejected');
    if (failed) throw failed.reason;
    await Promise.all(runs);
  } catch (error) {
    shutdown();
    await Promise.allSettled(runs);
    throw error;
  } finally {
    signal.removeEventListener('abort', shutdown);
  }
}

try {
  await workerProgram(main).parseAsync();
} catch (error) {
  reportError(error);
}
await endProcess();
