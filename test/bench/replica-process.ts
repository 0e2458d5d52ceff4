import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { createActivities } from '../../activities/index.ts';
import { objectStoreFromEnvironment } from '../../src/storage/s3.ts';
import { createTrainerProcess } from '../../src/trainer/process.ts';
import { deviceQueue } from '../../workflows/policies.ts';

/** A worker of the device queue whose trainer makes no steps and takes their time: `FOLDER MS`. */
const [folder, stepMs] = process.argv.slice(2) as [string, string];
const log = { info() {}, warn() {}, error() {} };
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const trainer = createTrainerProcess({
  lockFile: join(folder, 'device.lock'),
  log,
  script: fileURLToPath(new URL('../trainer/fake-rounds-trainer.ts', import.meta.url)),
  env: { ...process.env, FAKE_FAULT: JSON.stringify({ stepMs: Number(stepMs), still: true }) },
});
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS! }),
  taskQueue: deviceQueue,
  activities: createActivities({
    ...{ store: objectStoreFromEnvironment(), scratch: join(folder, 'scratch'), log, codeVersion: '0.0.0', trainer },
  } as never),
  maxConcurrentActivityTaskExecutions: 1,
  maxHeartbeatThrottleInterval: '1s',
});
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
process.stdin.on('end', () => worker.shutdown()).resume();
await worker.run();
await trainer.close();
process.exit(0);
