import { expect, it } from 'vitest';
import { plan } from '../../activities/plan.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { ShardInput } from '../../activities/types/shard.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { type RealTrainer, realTrainer } from './real-trainer.ts';
import { driveRounds } from './round-driver.ts';

const real = realTrainer();

const head = { weight: 1, hidden: 8, bottleneck: 4, prototypes: 6 };

/** A phase of contrast, and one that goes on from it with every other objective: teachers, centres, a decoder with tables. */
const recipe = (replicas: object | undefined) => ({
  version: 1,
  model: {
    vision: { size: { width: 8, depth: 1, mlp: 8, heads: 2 }, patch: 4, resolution: 16 },
    text: { size: { width: 8, depth: 1, mlp: 8, heads: 2 }, length: 6, vocabulary: 'compact' },
  },
  data: { train: 'data/emoji/train' },
  schedule: { total: { steps: 12 }, warmup: { steps: 2 } },
  optimizer: { learningRate: 0.05, weightDecay: 0.1 },
  phases: [
    { name: 'pretrain', batch: 8, window: { to: { percent: 50 } }, replicas },
    {
      name: 'rest',
      from: 'pretrain',
      batch: 4,
      window: { to: { percent: 75 } },
      objectives: { sigmoid: 1, captioning: { weight: 1, depth: 1 }, localToGlobal: head, maskedPrediction: head },
      replicas,
    },
  ],
  checkpoint: { every: { steps: 2 }, shard: { steps: 2 } },
});

const depsOf = ({ on, store, trainer }: RealTrainer) => on.deps(store, { trainer });

const planned = async (run: string, replicas?: object) =>
  (await plan(depsOf(real()), { run, recipe: recipe(replicas) }, real().on.attempt())).phases;

async function plain(phase: PhasePlan, parent: CheckpointRef | null): Promise<CheckpointRef> {
  let from: CheckpointRef | null = null;
  for (let step = phase.from.step + 2; step <= phase.to.step; step += 2) {
    const input: ShardInput = { plan: phase, revision: 0, parent, from, toStep: step };
    from = (await trainShard(depsOf(real()), input, real().on.attempt())).checkpoint;
  }
  return from!;
}

const figuresOf = async (ref: CheckpointRef) => {
  const { store } = real();
  const { metrics } = await readCommit(store, ref);
  const { skipped, settingsSha256: _, examples } = (await readManifest(store, ref)).manifest;
  return { loss: metrics.loss, since: metrics.since, skipped, examples };
};

const one = { number: 1, steps: 2, outer: { rate: 1, momentum: 0 }, exchange: 'f32' };

/** Trains a phase without replicas and with one, and expects the same of both; gives what the two end with. */
async function expectSame(
  [without, withOne]: readonly [PhasePlan, PhasePlan],
  parents: readonly [CheckpointRef, CheckpointRef] | readonly [null, null],
): Promise<[CheckpointRef, CheckpointRef]> {
  const expected = await plain(without, parents[0]);
  const { on, store } = real();
  const end = await driveRounds(on, [depsOf(real())], withOne, parents[1]);
  expect(end).toMatchObject({ step: expected.step, examples: expected.examples });
  const [one, other] = [await readManifest(store, end), await readManifest(store, expected)];
  expect(one.manifest.state).toEqual(other.manifest.state);
  expect(end.sha256).toBe(expected.sha256);
  expect(await figuresOf(end)).toEqual(await figuresOf(expected));
  return [expected, end];
}

it('a phase with one replica has the bytes of one without, with every objective and after a phase before it', async () => {
  const [first, second] = await planned('plain');
  const [pretrain, rest] = await planned('rounds', { ...one, moments: 'averaged' });
  expect(first!.replicas).toBe(undefined);
  expect(pretrain!.replicas).toMatchObject({ number: 1, negatives: 'local' });
  const ends = await expectSame([first!, pretrain!], [null, null]);
  await expectSame([second!, rest!], ends);
}, 400_000);

it('so has one whose slots keep their moments', async () => {
  const [first] = await planned('plain-again');
  const [pretrain] = await planned('rounds-kept', { ...one, moments: 'kept' });
  await expectSame([first!, pretrain!], [null, null]);
});
