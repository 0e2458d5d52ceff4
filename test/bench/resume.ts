import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { readRunStatus } from '../../src/commands/run-status.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import type { BenchOptions } from './arguments.ts';
import { isWanted } from './names.ts';
import type { Report } from './record.ts';
import { readEmojiRecipe } from './shapes.ts';
import type { Site } from './site.ts';
import { spread } from './statistics.ts';

const patienceMs = 240_000;
const run = 'bench-resume';

/**
 * A run of the emoji recipe on part of the data whose worker is killed with kill -9, again and again. `ms` is from
 * the kill to the first step that the next worker's trainer finishes, as its heartbeat says, which comes every second;
 * `taken-up` until the next attempt is heard of, before it loads anything.
 */
export async function benchResume({ runs = 3, only }: BenchOptions, site: Site, report: Report): Promise<void> {
  const connection = await Connection.connect({ address: site.services.temporal!.address });
  try {
    const client = new Client({ connection });
    const recipe = readEmojiRecipe();
    const handle = await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
      taskQueue: 'siglip2',
      workflowId: run,
      args: [
        {
          ...recipe,
          schedule: { total: { steps: 100_000 }, warmup: { steps: 100 } },
          checkpoint: { every: { steps: 10 }, shard: { steps: 100_000 } },
        },
      ],
    });
    const ms: number[] = [];
    const takenUp: number[] = [];
    for (let kill = 1; kill <= runs; kill++) {
      // Far enough that the next worker goes on from a commit of this one.
      await until(
        client,
        site,
        (live) => live.attempt === kill && live.committed >= 10 * kill && live.step > live.committed,
      );
      site.services.kill('worker', 'SIGKILL');
      const began = performance.now();
      // What follows is loading: the checkpoint, the trainer, its graph.
      await until(client, site, (live) => live.attempt === kill + 1, { loading: true });
      takenUp.push(performance.now() - began);
      // The heartbeats of the killed attempt are not those of the next.
      await until(client, site, (live) => live.attempt === kill + 1 && live.step > live.committed);
      ms.push(performance.now() - began);
    }
    await handle.terminate('the benchmark is over');
    for (const [variant, times] of [
      ['taken-up', takenUp],
      ['kill-9', ms],
    ] as const) {
      const { min, median } = spread(times);
      if (isWanted(only, 'resume/emoji', variant))
        report({ name: 'resume/emoji', variant, ms_min: min, ms_median: median, runs: times.length });
    }
  } finally {
    await connection.close();
  }
}

interface Live {
  readonly attempt: number;
  readonly step: number;
  /** Step of the commit that the attempt stands on. */
  readonly committed: number;
}

async function until(
  client: Client,
  { store }: Site,
  what: (live: Live) => boolean,
  { loading = false } = {},
): Promise<void> {
  let last = 'nothing yet';
  for (const end = performance.now() + patienceMs; performance.now() < end; await delay(50)) {
    const { pending, temporal } = await readRunStatus(client, store, run);
    const shard = pending.find(({ activity, live }) => activity === 'trainShard' && live);
    if (temporal === 'FAILED') break;
    if (!shard?.live || shard.waiting) continue;
    const { step = 0, lastCommit, doing } = shard.live;
    last = `attempt ${shard.attempt}, step ${step}, ${doing ?? 'training'}, ${shard.lastFailure ?? 'no failure'}`;
    if ((loading || doing === null) && what({ attempt: shard.attempt, step, committed: lastCommit?.step ?? 0 })) return;
  }
  throw new RunnerError(
    'TrainerStuck',
    `the run did not go on within ${patienceMs / 1000} s; the last that was heard: ${last}`,
  );
}
