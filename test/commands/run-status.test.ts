import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { formatStatus } from '../../src/commands/format-status.ts';
import { readRunStatus } from '../../src/commands/run-status.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { testTemporal } from '../workflows/harness.ts';

const temporal = testTemporal();

describe('the status of a run', () => {
  it('that is done shows what it ended with, also when no worker is there', async () => {
    await temporal.serving({}, async (client) => {
      await client.workflow.execute('siglip2Recipe', { taskQueue: 'siglip2', workflowId: 'ended', args: [{}] });
      const status = await readRunStatus(client, new MemoryStore(), 'ended');
      expect(status.workflow).toMatchObject({ state: 'done' });
      expect(status.result!.phases).toMatchObject([
        { phase: 'pretrain', checkpoint: { step: 30 }, evaluation: { report: { zero_shot: { top1: 0.5 } } } },
      ]);
      expect(formatStatus(status)).toContain(
        '  pretrain@30: zero-shot top-1 50.0 %\n    export s3://bucket/runs/ended/export/',
      );
    });
    const alone = await readRunStatus(temporal.client(), new MemoryStore(), 'ended');
    expect([alone.temporal, alone.workflow]).toEqual(['COMPLETED', null]);
    expect(alone.result!.phases).toHaveLength(1);
  });

  it('whose worker was just lost comes within seconds, and leaves nothing behind on its connection', async () => {
    const trainShard = async () => {
      throw new RunnerError('DiskFull', 'the disk is full');
    };
    await temporal.serving({ trainShard }, async (client) => {
      const run = await client.workflow.start('siglip2Recipe', {
        taskQueue: 'siglip2',
        workflowId: 'lost',
        args: [{}],
      });
      await expect
        .poll(async () => (await run.query<{ state: string }>('status')).state, { timeout: 20_000 })
        .toBe('waiting');
    });
    // Temporal still hopes that a worker comes for the query.
    const connection = await Connection.connect({ address: temporal.address() });
    const began = Date.now();
    const status = await readRunStatus(new Client({ connection }), new MemoryStore(), 'lost');
    expect([status.temporal, status.workflow, status.result]).toEqual(['RUNNING', null, null]);
    // It was heard of a moment ago, so it may as well be busy.
    expect(status.workerSecondsAgo).toBeLessThan(75);
    expect(Date.now() - began).toBeLessThan(8000);
    await connection.close();
    // A call that were tried again now would end the process, and vitest tells of it.
    await delay(6000);
  });
});
