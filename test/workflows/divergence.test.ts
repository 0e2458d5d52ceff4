import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createActivities } from '../../activities/index.ts';
import { plan } from '../../activities/plan.ts';
import { trainShard } from '../../activities/train-shard.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { ExampleOrder } from '../../src/data/batches/order.ts';
import { indexData } from '../../src/data/index/index-data.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import type { PhaseEvent, RunStatus } from '../../workflows/messages.ts';
import type { siglip2Recipe } from '../../workflows/recipe.ts';
import { type Hands, hands } from '../activities/fixture.ts';
import { copyWithBlanks } from '../data/blank-copies.ts';
import { tinyRecipe } from '../faults/harness.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { drawnEmoji } from '../support/drawn-emoji.ts';
import { testTemporal } from './harness.ts';

// Real pictures of which some have become blank, a real trainer, S3 and Temporal.
const temporal = testTemporal();
const batch = 32;
const [seed, phase] = [1, 'pretrain'];
const blankBatch = 2;
let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let trainer: TrainerProcess;

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  const env = { ...process.env, ...server.environment };
  trainer = createTrainerProcess({ lockFile: `${on.folder}/real.lock`, log: { info() {}, warn() {} }, env });
  await drawnEmoji(store, { concepts: 24 });
  const index = await indexData(store, 'data/emoji/train');
  const order = new ExampleOrder(index, seed, phase);
  const members = Array.from({ length: batch }, (_, i) => order.at(blankBatch * batch + i));
  const isOf = (some: typeof members, shard: number, example: number) =>
    some.some((one) => one.shard === shard && one.example === example);
  await copyWithBlanks(store, index, 'data/part', ({ shard, example }) => {
    const blank = isOf(members, shard, example);
    return { picture: blank, caption: blank };
  });
  await copyWithBlanks(store, index, 'data/all', () => ({ picture: true, caption: false }));
});
afterAll(async () => {
  await trainer.close();
  await on.close();
  await server.stop();
});

const recipe = (train: string, changes: object = {}) =>
  tinyRecipe({
    seed,
    data: { train, evaluation: 'data/emoji/held-out' },
    schedule: { total: { steps: 6 }, warmup: { steps: 1 } },
    phases: [{ name: phase, batch }],
    checkpoint: { every: { steps: 2 }, shard: { steps: 2 } },
    ...changes,
  });

/** A run that is trained by the real activities, until `work` has seen enough. */
async function running(
  run: string,
  of: object,
  work: (handle: Handle, events: () => Promise<string[]>) => Promise<void>,
) {
  const { evaluate: _, exportModel: __, ...real } = createActivities(on.deps(store, { trainer }));
  await temporal.serving(real, async (client) => {
    const handle = await client.workflow.start<typeof siglip2Recipe>('siglip2Recipe', {
      taskQueue: 'siglip2',
      workflowId: run,
      args: [of],
    });
    const inPhase = client.workflow.getHandle(`${run}/${phase}`);
    await work(handle, async () => {
      const { [phase]: all } = await inPhase.query<Record<string, PhaseEvent[]>>('history');
      return all!.map(({ what }) => what);
    });
  });
}
type Handle = { result(): ReturnType<typeof siglip2Recipe>; query<T>(name: string): Promise<T> } & {
  executeUpdate(name: string, options?: { args: [object] }): Promise<unknown>;
};

describe('a phase with a batch that can teach nothing', () => {
  const message = (step: number, number: number) =>
    `all 32 pictures of step ${step} (batch ${number}) are the same, so that it can teach nothing: look at the data, then retryPhase with other data or with skip`;

  it('goes back to its last checkpoint and ends as one that never had it, and says so', async () => {
    await running('part', recipe('data/part'), async (handle, events) => {
      const { phases } = await handle.result();
      const { phases: planned } = await plan(
        on.deps(store, { trainer }),
        { run: 'twin', recipe: recipe('data/part') },
        on.attempt(),
      );
      const twin = { plan: planned[0]!, parent: null, from: null, skip: [blankBatch], revision: 0, toStep: 6 };
      const { checkpoint } = await trainShard(on.deps(store, { trainer }), twin, on.attempt());
      expect(phases[0]!.checkpoint).toMatchObject({ step: 6, revision: 1, sha256: checkpoint.sha256 });
      expect(await events()).toEqual([`${message(3, 2)}; goes back to step 2 and leaves out batch 2`]);
      const { pretrain } = await handle.query<Record<string, PhaseEvent[]>>('history');
      expect(pretrain!.map(({ what }) => what)).toContain(`recovering: ${message(3, 2)}`);
      const { phases: lines } = await handle.query<RunStatus>('status');
      expect(lines[0]).toMatchObject({ state: 'done', step: 6, failure: message(3, 2) });
    });
  }, 120_000);

  it('waits for a person when it meets more of them than may be left out', async () => {
    await running('all', recipe('data/all', { divergence: { leaveOut: 2 } }), async (handle, events) => {
      await expect
        .poll(async () => (await handle.query<RunStatus>('status')).state, { timeout: 100_000 })
        .toBe('waiting');
      const status = await handle.query<RunStatus>('status');
      expect(status).toMatchObject({ failure: message(1, 2), revision: 2, step: 0 });
      expect(await events()).toEqual([
        `${message(1, 0)}; goes back to step 0 and leaves out batch 0`,
        `${message(1, 1)}; goes back to step 0 and leaves out batch 1`,
        message(1, 2),
      ]);
      await handle.executeUpdate('abandonPhase');
      await expect(handle.result()).rejects.toThrow();
    });
  }, 120_000);
});

describe('a phase whose teacher has collapsed', () => {
  const collapsing = recipe('data/emoji/train', {
    schedule: { total: { steps: 200 }, warmup: { steps: 5 } },
    phases: [
      {
        name: phase,
        batch: 16,
        // As flat as what it says: nothing tells one prototype from another.
        objectives: {
          localToGlobal: { hidden: 32, bottleneck: 16, prototypes: 64, views: 2, resolution: 8, teacherTemperature: 1 },
        },
        teacher: { momentum: 0.9 },
      },
    ],
    checkpoint: { every: { steps: 40 }, shard: { steps: 200 } },
  });

  it('waits at once, leaves out no batch, and goes on from its checkpoint when a person lets it', async () => {
    await running('collapsed', collapsing, async (handle, events) => {
      const state = async () => (await handle.query<RunStatus>('status')).state;
      await expect.poll(state, { timeout: 100_000 }).toBe('waiting');
      const { failure, revision } = await handle.query<RunStatus>('status');
      expect(revision).toBe(0);
      expect(failure).toMatch(
        /^the teacher of localToGlobal says the same of all pictures, all prototypes alike: at step 100 its information is [\de.-]+ nats, below the divergence.minInformation of 0.01 \(entropy 4.1\d of 4.16\): retryPhase with a lower teacherTemperature or learningRate, or with minInformation 0 to go on all the same$/,
      );
      expect(await events()).toEqual([failure]);
      const { pretrain } = await handle.query<Record<string, PhaseEvent[]>>('history');
      expect(pretrain!.map(({ step, what }) => [step, what.slice(0, 40)])).toContainEqual([80, failure!.slice(0, 40)]);
      await handle.executeUpdate('retryPhase', { args: [{ minInformation: 0 }] });
      const { phases } = await handle.result();
      expect(phases[0]!.checkpoint).toMatchObject({ step: 200, revision: 1 });
      expect(await events()).toEqual([
        failure,
        'asked for: retryPhase {"minInformation":0}',
        'minInformation 0.01 -> 0',
      ]);
      // It trained on, collapsed as it was.
      const figures = (await readCommit(store, phases[0]!.checkpoint)).metrics.figures!;
      expect(figures['localToGlobal/teacherInformation']).toBeLessThan(0.01);
    });
  }, 120_000);
});
