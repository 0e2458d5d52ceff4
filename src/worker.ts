import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DefaultLogger, makeTelemetryFilterString, Runtime } from '@temporalio/worker';
import getPort from 'get-port';
import { createActivities } from '../activities/index.ts';
import { endAttempts, leftAttempts } from '../activities/left-attempts.ts';
import { deviceKind } from '../infra/setup/device.ts';
import { trainerEnvironment } from '../infra/setup/tensorflow.ts';
import { annotateQueue, deviceQueue } from '../workflows/policies.ts';
import { pricedByDevice, pricesFromEnvironment } from './costs/prices.ts';
import { RunLogs } from './run-logs/run-logs.ts';
import { connectPatiently } from './runtime/connect.ts';
import { ownDevice } from './runtime/device.ts';
import { deviceMemory, deviceName } from './runtime/device-memory.ts';
import { chooseDevices, findGpus } from './runtime/devices.ts';
import { endProcess } from './runtime/end-process.ts';
import { metricsAddress } from './runtime/environment.ts';
import { isRunnerError } from './runtime/errors.ts';
import { knownSecrets } from './runtime/known-secrets.ts';
import { log } from './runtime/log.ts';
import { makeOwnFolder } from './runtime/make-folder.ts';
import { paths } from './runtime/paths.ts';
import { payloadConverter } from './runtime/payload-codec.ts';
import { reportError } from './runtime/report-error.ts';
import { ownScratch } from './runtime/scratch.ts';
import { redactor } from './runtime/secrets.ts';
import { variable } from './runtime/variables.ts';
import { codeVersion } from './runtime/version.ts';
import { watchRefusals } from './runtime/watch-refusals.ts';
import { serveQueues } from './serve-queues.ts';
import { objectStoreFromEnvironment } from './storage/s3.ts';
import { Gauges } from './telemetry/gauges.ts';
import { serveMetrics } from './telemetry/metrics-server.ts';
import { TemporalWatch } from './telemetry/temporal-watch.ts';
import { trainerVariables } from './trainer/environment.ts';
import { TrainerPool } from './trainer/pool.ts';
import { createTrainerProcess } from './trainer/process.ts';
import { openDevices, smallestMemory } from './worker-devices.ts';
import { FirstStep } from './worker-life/first-step.ts';
import { WorkerLife } from './worker-life/life.ts';
import { ShardCount } from './worker-life/shard-count.ts';
import { watchLife } from './worker-life/watch-life.ts';
import { lightQueue, type WorkerOptions, workerProgram } from './worker-program.ts';

/** After SIGTERM the shard in progress commits what it has: so many seconds, then the last commit stands. */
const graceMs = 1000 * (Number(variable('SIGLIP2_GRACE')) || 50);

/** After its last activity a worker sends the rest of the logs for so long; what is left then, the next one sends. */
const sendLogsMs = 3000;

/**
 * The Temporal worker: workflows and light activities on `siglip2`, device work on `siglip2-gpu`, one at a time for each
 * device, and detectors on `siglip2-annotate`, one at a time too.
 * It survives an outage of Temporal and of the store, and ends on SIGTERM with a checkpoint, or by its rules.
 */
async function main({ queues, rules, devices: wish }: WorkerOptions): Promise<void> {
  const firstStep = new FirstStep();
  const chosen = wish && chooseDevices(wish, deviceKind(), await findGpus());
  const life = new WorkerLife(graceMs);
  makeOwnFolder(paths().state, 'SIGLIP2_STATE');
  const left = leftAttempts(paths().scratch);
  const scratch = ownScratch(paths().scratch);
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
  const kind = chosen?.[0]?.kind ?? deviceKind();
  const prices = pricesFromEnvironment(pricedByDevice() ? await deviceName(kind) : null);
  const watch = queues.includes(lightQueue) ? new TemporalWatch([deviceQueue, annotateQueue]) : null;
  const more = watch && { more: () => watch.text() };
  if (address !== null && temporal !== null) await serveMetrics({ address, gauges, temporal, ...more });
  watchLife(life, rules, log);
  const several = chosen && (await openDevices(chosen, await trainerEnvironment()));
  const device = ownDevice(kind);
  const described = several && { devices: several.map(({ name }) => name).join(',') };
  gauges.describe({ version: codeVersion(), device: kind, ...described, queues: queues.join(',') });
  const trainer =
    queues.includes(deviceQueue) && !several
      ? createTrainerProcess({
          lockFile: join(paths().state, `${device.name}.lock`),
          log,
          env: { ...trainerVariables(), ...device.env, ...(await trainerEnvironment()) },
        })
      : undefined;
  // A worker that ends without work was started for some, and what was cut off here is tried again soon: TensorFlow loads while
  // Temporal is connected. What hinders it is told when a shard wants it.
  const isWanted = rules.idleMs !== null || left.some(({ taskQueue }) => taskQueue === deviceQueue);
  const trainers = several ? several.map((one) => one.trainer) : trainer ? [trainer] : [];
  if (isWanted) for (const one of trainers) void one.device().catch(() => {});
  // Only who trains here knows into what a step has to fit.
  const memory = several ? smallestMemory(several) : trainer && (await deviceMemory(kind));
  const store = objectStoreFromEnvironment();
  const dataConverter = payloadConverter();
  const runLogs = await RunLogs.open({
    store,
    folder: join(paths().scratch, 'run-logs'),
    code: codeVersion(),
    redact: redactor(knownSecrets()),
    say: (level, fields, text) => log[level](fields, text),
  });
  life.draining.addEventListener('abort', () =>
    runLogs?.sayToAll('warn', { why: life.reason?.why }, 'this worker is to end'),
  );
  if (runLogs)
    log.info(
      { worker: runLogs.worker, logs: `s3://${store.bucket}/logs/` },
      'lines of an activity are also in the log of its run: npm run siglip2 -- logs RUN',
    );
  const activities = createActivities({
    store,
    scratch,
    log,
    gauges,
    life,
    firstStep,
    prices,
    codeVersion: codeVersion(),
    ...(trainer ? { trainer } : {}),
    ...(several ? { devices: new TrainerPool(several) } : {}),
    ...(memory ? { memory } : {}),
    ...(runLogs ? { runLogs } : {}),
  });
  const shards = new ShardCount(rules.maxShards);
  const firstSteps = several ? several.map((one) => one.firstStep) : [firstStep];
  const serving = { life, graceMs, idleMs: rules.idleMs, shards, firstSteps };
  const serve = async () => {
    try {
      while (!life.draining.aborted) {
        const connected = await connectPatiently(life.draining);
        if (!connected) break;
        const { connection, namespace, address } = connected;
        const refused = watchRefusals(connected);
        try {
          log.info({ address, namespace, bucket: store.bucket, queues, ...described }, 'worker starts');
          watch?.use(connection, namespace);
          const client = { connection, namespace, ...(dataConverter && { dataConverter }) };
          void endAttempts(left.splice(0), client, log);
          life.resume();
          // What is in progress commits first, as at any end.
          await serveQueues({ ...client, activities }, queues, { ...serving, refused: refused.signal });
          refused.signal.throwIfAborted();
        } catch (error) {
          if (isRunnerError(error)) throw error;
          // The connection itself failed for good, as when the server was away for very long: a new one may do.
          log.error({ err: error }, 'the worker stopped; it starts again');
          await delay(5_000, undefined, { signal: life.draining }).catch(() => {});
        } finally {
          refused.stop();
          await connection.close().catch(() => {});
        }
      }
    } finally {
      await Promise.all(trainers.map((one) => one.close()));
      await runLogs?.close(sendLogsMs);
      store.close();
    }
  };
  // When the grace period is over nothing more is waited for. A trainer ends when its worker has.
  await Promise.race([serve(), once(life.late)]);
  process.exitCode = life.exitCode;
  const { reason, lost, exitCode } = life;
  const fields = { why: reason?.why, exitCode, ...(lost > 0 && { notCommitted: lost }) };
  log[lost > 0 ? 'warn' : 'info'](fields, 'worker ended');
  // What is being written when the process ends may come behind its last line, or not at all.
  await Promise.race([new Promise((resolve) => log.flush(resolve)), delay(1000)]);
}

const once = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

try {
  await workerProgram(main).parseAsync();
} catch (error) {
  reportError(error);
}
await endProcess();
