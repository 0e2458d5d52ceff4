import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { endAttempts, leftAttempts, noteAttempt } from '../../activities/left-attempts.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import { processStart } from '../../src/runtime/lock.mjs';
import { deadScratch } from '../../src/runtime/scratch.ts';
import { deviceQueue } from '../../workflows/policies.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { testServices } from '../support/services.ts';
import { activities, bundled, resultOf, runPlanOf } from '../workflows/harness.ts';

const services = testServices({ only: ['temporal'] });
let parent: string;
let native: NativeConnection;
let connection: Connection;

beforeAll(async () => {
  parent = mkdtempSync(join(tmpdir(), 'scratch-'));
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  const { address } = services().temporal!;
  native = await NativeConnection.connect({ address });
  connection = await Connection.connect({ address });
});
afterAll(async () => {
  await native.close();
  await connection.close();
  rmSync(parent, { recursive: true });
});

it('what a killed worker was at is begun again before its heartbeats are missed, whatever attempt it was', async () => {
  const dead = join(parent, `worker-${spawnSync('true').pid}-1`);
  const living = join(parent, `worker-${process.pid}-${processStart(process.pid)}`);
  const begun: number[] = [];
  let release = () => {};
  const hung = new Promise<void>((resolve) => {
    release = resolve;
  });
  const said: string[] = [];
  const log = { info: (_: object, message: string) => said.push(message), warn() {} };
  // What the worker does that takes the place of one that was killed.
  const takeOver = () => endAttempts(leftAttempts(parent), { connection: native }, log);
  const trainShard = async (input: ShardInput) => {
    const { attempt, activityType, taskQueue, taskToken } = Context.current().info;
    begun.push(attempt);
    const token = Buffer.from(taskToken).toString('base64');
    noteAttempt(attempt < 5 ? dead : living, `attempt-${attempt}`, { activity: activityType, taskQueue, token });
    if (attempt < 5) await hung;
    return resultOf(input, input.toStep);
  };
  const common = {
    connection: native,
    activities: activities({ trainShard, plan: async () => runPlanOf('left', 10, 10) }),
  };
  const workers = [
    await Worker.create({ ...common, workflowBundle: await bundled(), taskQueue: 'siglip2' }),
    await Worker.create({ ...common, taskQueue: deviceQueue }),
  ];
  const running = Promise.all(workers.map((worker) => worker.run()));
  try {
    const run = await new Client({ connection }).workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
      taskQueue: 'siglip2',
      workflowId: 'left',
      args: [{}],
    });
    const began = performance.now();
    for (let attempt = 1; attempt < 5; attempt++) {
      await expect.poll(() => begun.at(-1), { timeout: 30_000, interval: 10 }).toBe(attempt);
      await takeOver();
    }
    await run.result();
    // Until its heartbeats are missed each takes 8 s, and the pauses between them are 1, 2, 4 and 8 s.
    expect(performance.now() - began).toBeLessThan(4 * 8_000);
    expect(begun).toEqual([1, 2, 3, 4, 5]);
    expect(said.filter((message) => message.includes('made again'))).toHaveLength(4);
    // Those that were over by then, and what a living worker is at, are left alone.
    expect(said.filter((message) => message.includes('was over'))).toHaveLength(1 + 2 + 3);
    expect(deadScratch(parent)).toEqual([dead]);
    expect(readdirSync(join(living, 'attempts'))).toEqual(['attempt-5.json']);
  } finally {
    release();
    for (const worker of workers) worker.shutdown();
    await running;
  }
});

it('a note that is taken away says nothing, nor does a folder that is not there', () => {
  const folder = join(parent, `worker-${spawnSync('true').pid}-1`);
  const before = leftAttempts(parent).length;
  const ended = noteAttempt(folder, 'one', { activity: 'evaluate', taskQueue: deviceQueue, token: 'AA==' });
  expect(leftAttempts(parent)).toHaveLength(before + 1);
  ended();
  expect(leftAttempts(parent)).toHaveLength(before);
  expect(leftAttempts(join(parent, 'nowhere'))).toEqual([]);
});
