import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import { type NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { deviceQueue } from '../workflows/policies.ts';
import { log } from './runtime/log.ts';
import { workflowBundle } from './runtime/workflow-bundle.ts';
import type { FirstStep } from './worker-life/first-step.ts';
import { IdleClock, whenIdle } from './worker-life/idle.ts';
import type { WorkerLife } from './worker-life/life.ts';
import type { ShardCount } from './worker-life/shard-count.ts';
import { shardQueues } from './worker-program.ts';

const options: Partial<WorkerOptions> = {
  // What was taken goes on to its end when no more is taken. When it has to end sooner is the life's to say, not the SDK's.
  shutdownGraceTime: '10 years',
  // The details of the last heartbeat are what `siglip2 status` shows.
  maxHeartbeatThrottleInterval: '1s',
  defaultHeartbeatThrottleInterval: '1s',
  // When a worker was killed, its successor answers queries after this long.
  stickyQueueScheduleToStartTimeout: '3s',
};

/** Temporal has to answer within this to count as there. */
const answerMs = 5_000;

export interface Common {
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly activities: object;
  readonly dataConverter?: DataConverter;
}

export interface Serving {
  readonly life: WorkerLife;
  readonly graceMs: number;
  readonly idleMs: number | null;
  readonly shards: ShardCount;
  /** Of each device. */
  readonly firstSteps: readonly Pick<FirstStep, 'connected'>[];
  /** Aborted when Temporal does not let this worker in any more: what was taken commits first. */
  readonly refused: AbortSignal;
}

/** Runs a worker for each queue until the life drains, or until one of them fails; then what the others have is interrupted. */
export async function serveQueues(common: Common, queues: readonly string[], serving: Serving): Promise<void> {
  const { life, shards, firstSteps, idleMs, refused } = serving;
  const over = new AbortController();
  const clock = idleMs === null ? null : new IdleClock(idleMs);
  const workers: Worker[] = [];
  const runs: Promise<void>[] = [];
  const shutdown = (worker: Worker) => worker.getState() === 'RUNNING' && worker.shutdown();
  const run = async (own: Pick<WorkerOptions, 'taskQueue'> & Partial<WorkerOptions>) => {
    const worker = await Worker.create({ ...common, ...options, ...own });
    if (clock) {
      worker.numInFlightActivities$.subscribe(clock.counter());
      worker.numInFlightActivations$.subscribe(clock.counter());
    }
    const isOfShards = shardQueues.includes(own.taskQueue);
    if (isOfShards) worker.numInFlightActivities$.subscribe(shards.counter());
    workers.push(worker);
    const running = worker.run();
    running.catch(() => {});
    runs.push(running);
    if (own.taskQueue === deviceQueue) for (const firstStep of firstSteps) firstStep.connected();
    for (const signal of [life.draining, refused, ...(isOfShards ? [shards.full] : [])]) {
      const end = () => shutdown(worker);
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true, signal: over.signal });
    }
    return { isOfShards, running };
  };
  const interrupt = () => life.interruptAll();
  refused.addEventListener('abort', interrupt, { once: true, signal: over.signal });
  try {
    const started = await allOf([
      // A slot for each device: what waits is taken by whichever worker is free first. A detector takes all cores.
      ...queues
        .filter((queue) => shardQueues.includes(queue))
        .map((taskQueue) => run({ taskQueue, maxConcurrentActivityTaskExecutions: slotsOf(taskQueue, serving) })),
      // A device need not wait until the workflows are bundled.
      ...queues
        .filter((queue) => !shardQueues.includes(queue))
        .map(async (taskQueue) =>
          run({ taskQueue, workflowBundle: await bundle(common), maxConcurrentActivityTaskExecutions: 4 }),
        ),
    ]);
    if (clock) void drainWhenIdle(common.connection, clock, serving, over.signal);
    const ofShards = started.filter(({ isOfShards }) => isOfShards).map(({ running }) => running);
    // Workflows are served until the last shard has ended.
    void Promise.all(ofShards).then(
      () => shards.full.aborted && drain(life, `--max-shards ${shards.most}`),
      () => {},
    );
    await Promise.all(runs);
  } catch (error) {
    life.interruptAll();
    for (const worker of workers) shutdown(worker);
    await Promise.race([Promise.allSettled(runs), delay(serving.graceMs, undefined, { ref: false })]);
    throw error;
  } finally {
    over.abort();
  }
}

/** Devices, but no more than the shards that may be taken. */
const slotsOf = (queue: string, { firstSteps, shards: { most } }: Serving): number =>
  queue === deviceQueue ? Math.max(1, Math.min(firstSteps.length, most ?? firstSteps.length)) : 1;

/** All that began, also when one of them fails: what began late would be left running. */
async function allOf<T>(starts: readonly Promise<T>[]): Promise<T[]> {
  const settled = await Promise.allSettled(starts);
  return settled.map((start) => {
    if (start.status === 'rejected') throw start.reason;
    return start.value;
  });
}

const bundle = ({ dataConverter }: Common) =>
  workflowBundle({
    workflowsPath: fileURLToPath(new URL('../workflows/index.ts', import.meta.url)),
    failureConverterPath: dataConverter?.failureConverterPath,
    logger: Runtime.instance().logger,
  });

function drain(life: WorkerLife, why: string): void {
  if (life.drain({ by: 'rule', why })) log.info({ why }, 'ending: no more work is taken');
}

async function drainWhenIdle(
  connection: NativeConnection,
  clock: IdleClock,
  { life, idleMs }: Serving,
  signal: AbortSignal,
): Promise<void> {
  const idle = await whenIdle(clock, {
    signal,
    reachable: () => answers(connection),
    onReachable: (answers) =>
      answers
        ? log.info({}, 'Temporal answers again: the time without work begins anew')
        : log.warn({}, 'Temporal does not answer: the worker does not count as idle'),
  });
  if (idle) drain(life, `idle for ${idleMs! / 1000} s`);
}

async function answers(connection: NativeConnection): Promise<boolean> {
  const call = connection.withDeadline(Date.now() + answerMs, () => connection.workflowService.getSystemInfo({}));
  return Promise.race([
    call.then(
      () => true,
      () => false,
    ),
    delay(answerMs + 1000, false, { ref: false }),
  ]);
}
