import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import type { ShardInput } from '../../activities/types/shard.ts';
import { noCounts } from '../../src/annotation/counts.ts';
import { costLines } from '../../src/commands/format-costs.ts';
import { formatStatus } from '../../src/commands/format-status.ts';
import { type RunStatus, readRunStatus } from '../../src/commands/run-status.ts';
import { nothingUsed } from '../../src/costs/used.ts';
import type { PackReport } from '../../src/packing/report.ts';
import { parsePack } from '../../src/packing/settings.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import { annotateQueue } from '../../workflows/policies.ts';
import { MemoryStore } from '../data/memory-store.ts';
import { resultOf, runPlanOf, testTemporal } from '../workflows/harness.ts';
import { keepHistory } from '../workflows/histories.ts';

const temporal = testTemporal();

describe('the status of a run', () => {
  it('that is done shows what it ended with, also when no worker is there', async () => {
    await temporal.serving({}, async (client) => {
      await client.workflow.execute('siglip2Recipe', { taskQueue: 'siglip2', workflowId: 'ended', args: [{}] });
      // An answer that comes late is none.
      let status!: RunStatus;
      const look = async () => {
        status = await readRunStatus(client, new MemoryStore(), 'ended');
        return status.workflow;
      };
      await expect.poll(look, { timeout: 60_000 }).toMatchObject({ state: 'done' });
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

  it('that packs or annotates data tells what it is at and what came of it, and of no checkpoint', async () => {
    const settings = parsePack({ from: 'in', to: 'out' });
    const duplicates = { exact: 1, near: 0, texts: 0, crowded: 0 };
    const report: PackReport = {
      ...{ settings, layout: 'folder', read: 3, examples: 2, shards: 2, bytes: 20_000, duplicates },
      ...{ dropped: {}, otherSplits: 0, unnamed: 0 },
    };
    const counts = { ...noCounts, pictures: 4, withRegions: 3, boxes: { ...noCounts.boxes, kept: 5 } };
    let goOn: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const of = {
      beginPack: async () => ({ settings, done: false }),
      listPack: async () => ({ layout: 'folder', parts: 2, items: 3 }),
      hashPart: async ({ part }: { part: number }) => ({ usable: 2 - part }),
      mergePart: async () => ({ edges: 1, crowded: 0 }),
      settlePack: async () => ({ exact: 1, near: 0 }),
      packPart: async ({ part }: { part: number }) => {
        if (part === 1) await held;
        return { shards: 1, examples: 1, bytes: 10_000 };
      },
      reportPack: async () => report,
      planAnnotation: async () => ({ document: { key: 'plan', sha256: '' }, shards: 2, out: 'boxes' }),
      annotateShard: async ({ shard }: { shard: number }) => {
        if (shard === 1) await held;
        return { key: `${shard}`, counts, bytes: 10, broken: null };
      },
    };
    const work = async (client: Client) => {
      const text = async (id: string) => formatStatus(await readRunStatus(client, new MemoryStore(), id));
      const start = (type: string, id: string) =>
        client.workflow.start(type, { taskQueue: 'siglip2', workflowId: id, args: [{}] });
      const pack = await start('siglip2Pack', 'pack-out');
      const annotation = await start('siglip2Annotate', 'annotate-x');
      await expect.poll(() => text('pack-out'), { timeout: 20_000 }).toContain('packed 1 of 2 parts');
      const running = await text('pack-out');
      expect(running).toMatch(/^pack-out: running\n {2}packed 1 of 2 parts, 1 picture\n {2}packPart/);
      expect(running).not.toMatch(/checkpoint|worker|phase/);
      await expect.poll(() => text('annotate-x'), { timeout: 20_000 }).toContain('annotated 1 of 2 shards');
      const annotating = await text('annotate-x');
      expect(annotating).toMatch(
        /^annotate-x: annotating\n {2}annotated 1 of 2 shards: 5 regions in 3 of 4 pictures\n/,
      );
      expect(annotating).not.toMatch(/checkpoint|worker/);
      goOn();
      await Promise.all([pack.result(), annotation.result().catch(() => {})]);
      await keepHistory(client, 'pack-out', 'pack.json');
      const done = await text('pack-out');
      expect(done).toMatch(/^pack-out: done\n {2}out: 2 pictures in 2 shards, 20.0 kB, 10.0 kB a picture\n/);
      expect(done).toContain('"data": {"train": "out", "read": {"captions": "json"}}');
      expect(done).not.toContain('checkpoint');
    };
    // Activities that are held would hold their worker.
    await temporal.serving(of, (client) => work(client).finally(goOn), annotateQueue);
    // Without a worker what it ended with is there still.
    const alone = formatStatus(await readRunStatus(temporal.client(), new MemoryStore(), 'pack-out'));
    expect(alone).toMatch(/^pack-out: completed\n {2}out: 2 pictures in 2 shards/);
  });

  it('counts a shard that has ended while its phase has not told the run of it', async () => {
    let goOn: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const trainShard = async (input: ShardInput) => {
      const used = { ...nothingUsed, ms: { trained: 36_000 }, unpricedMs: 36_000 };
      return { ...resultOf(input, input.toStep), deviceMs: 36_000, used };
    };
    const plan = async ({ run }: { run: string }) => {
      const planned = runPlanOf(run);
      return { ...planned, phases: planned.phases.map((phase) => ({ ...phase, keep: 2 })) };
    };
    const pruneCheckpoints = async () => {
      await held;
      return { removed: 0 };
    };
    const work = async (client: Client) => {
      const run = await client.workflow.start('siglip2Recipe', {
        taskQueue: 'siglip2',
        workflowId: 'counted',
        args: [{}],
      });
      const status = async () => {
        const { pending, ...of } = await readRunStatus(client, new MemoryStore(), 'counted');
        return { at: pending.map(({ activity }) => activity), ...of, pending };
      };
      await expect.poll(async () => (await status()).at, { timeout: 60_000 }).toEqual(['pruneCheckpoints']);
      // The run itself has heard of no shard.
      expect(await run.query('status')).toMatchObject({ step: 0, used: nothingUsed });
      // An answer that comes late is none.
      const told = { timeout: 60_000 };
      const standing = { step: 10, percent: 33.3, lastCheckpoint: 'counted/pretrain@10' };
      await expect
        .poll(async () => (await status()).workflow, told)
        .toMatchObject({ ...standing, phases: [{ step: 10, lastCheckpoint: 'counted/pretrain@10' }] });
      const costs = async () => costLines(await status());
      await expect.poll(costs, told).toEqual(['  0.0100 h of a device (trained 100.0 %)']);
      goOn();
      await run.result();
      await expect.poll(costs, told).toEqual(['  0.0300 h of a device (trained 100.0 %)']);
    };
    await temporal.serving({ plan, trainShard, pruneCheckpoints }, (client) => work(client).finally(goOn));
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
