import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { readRunStatus } from '../../src/commands/run-status.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { testTemporal } from '../workflows/harness.ts';

const temporal = testTemporal();

describe('the status of a run', () => {
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
    expect([status.temporal, status.workflow]).toEqual(['RUNNING', null]);
    expect(Date.now() - began).toBeLessThan(8000);
    await connection.close();
    // A call that were tried again now would end the process, and vitest tells of it.
    await delay(6000);
  });
});
