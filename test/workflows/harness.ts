import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { afterAll, beforeAll } from 'vitest';
import type { Activities } from '../../activities/types/activities.ts';
import { deviceQueue } from '../../workflows/policies.ts';
import { type TestServices, testServices } from '../support/services.ts';
import { activities } from './fake-activities.ts';
import { bundled } from './workflow-bundle.ts';

export { activities, planOf, resultOf, runPlanOf } from './fake-activities.ts';
export { bundled } from './workflow-bundle.ts';

/** A worker that the server does without for a while. */
export interface Stoppable {
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** A real Temporal, and workers over the activities of a test. */
export function testTemporal(services: () => Pick<TestServices, 'temporal'> = testServices({ only: ['temporal'] })) {
  let bundle: Awaited<ReturnType<typeof bundled>>;
  let connection: Connection;
  let native: NativeConnection;
  beforeAll(async () => {
    Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
    const { address } = services().temporal!;
    bundle = await bundled();
    connection = await Connection.connect({ address });
    native = await NativeConnection.connect({ address });
  });
  afterAll(async () => {
    await connection.close();
    await native.close();
  });
  return {
    client: () => new Client({ connection }),
    address: () => services().temporal!.address,
    /** Runs `work` while workers serve both queues; those of the workflows and of the device can be stopped for a while. */
    async serving<T>(
      of: Partial<Activities>,
      work: (client: Client, workflows: Stoppable, devices: Stoppable) => Promise<T>,
      queue = deviceQueue,
    ): Promise<T> {
      const light = { taskQueue: 'siglip2', activities: activities(of) };
      const device = { ...light, taskQueue: queue, maxHeartbeatThrottleInterval: '100ms' } as const;
      const start = async (options: Omit<WorkerOptions, 'connection'>) => {
        const worker = await Worker.create({ connection: native, ...options });
        const running = worker.run();
        return async () => {
          if (worker.getState() === 'RUNNING') worker.shutdown();
          await running;
        };
      };
      const stoppable = async (options: Omit<WorkerOptions, 'connection'>): Promise<Stoppable> => {
        let stop = await start(options);
        return {
          stop: () => stop(),
          async start() {
            stop = await start(options);
          },
        };
      };
      // What a worker that has gone was to do is given to another after so long.
      const sticky = { stickyQueueScheduleToStartTimeout: '2s' } as const;
      const workflows = await stoppable({ taskQueue: 'siglip2', workflowBundle: bundle, ...sticky });
      const [activity, devices] = [await stoppable(light), await stoppable(device)];
      try {
        return await work(new Client({ connection }), workflows, devices);
      } finally {
        await Promise.all([workflows, activity, devices].map((worker) => worker.stop()));
      }
    },
  };
}
