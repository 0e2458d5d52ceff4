import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Dependencies } from '../../activities/dependencies.ts';
import { plan } from '../../activities/plan.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import { SafetensorsFile } from '../../src/safetensors/safetensors.ts';
import type { Hands } from './fixture.ts';
import { realTrainer } from './real-trainer.ts';
import { driveRounds } from './round-driver.ts';

let pid = 0;
const real = realTrainer({
  info(fields: object) {
    if ('trainer' in fields) pid = fields.trainer as number;
  },
  warn() {},
});

const recipe = {
  version: 1,
  precision: 'f32',
  model: {
    vision: { size: { width: 8, depth: 1, mlp: 8, heads: 2 }, patch: 4, resolution: 16 },
    text: { size: { width: 8, depth: 1, mlp: 8, heads: 2 }, length: 6, vocabulary: 'compact' },
  },
  data: { train: 'data/emoji/train' },
  schedule: { total: { steps: 12 }, warmup: { steps: 2 } },
  optimizer: { learningRate: 0.05, weightDecay: 0.1 },
  phases: [
    {
      name: 'pretrain',
      batch: 8,
      objectives: { sigmoid: 1 },
      replicas: { number: 2, steps: 3, negatives: 'bank', moments: 'reset' },
    },
  ],
  checkpoint: { every: { steps: 2 }, shard: { steps: 2 } },
};

const planned = async (run: string) => {
  const { on, store, trainer } = real();
  return (await plan(on.deps(store, { trainer }), { run, recipe }, on.attempt())).phases[0]!;
};
const bankLossOf = async (ref: CheckpointRef) =>
  (await readCommit(real().store, ref)).metrics.objectives!['sigmoid/bank'];

it('a lane with a bank has the same bytes after its trainer was killed in it, and leaves texts of length one', async () => {
  const { on, store, trainer } = real();
  const [first, again] = [await planned('whole'), await planned('killed')];
  const half = await driveRounds(on, [on.deps(store, { trainer })], first, null, { to: 6 });
  const expected = await driveRounds(on, [on.deps(store, { trainer })], first);
  // In each lane of the last round the trainer is killed once, after a step that met the bank.
  const killed = new Set<number>();
  const dies = (fields: Readonly<Record<string, number>>) => {
    const slot = fields['round/slot'];
    if (slot === undefined || fields.step! <= 6 || killed.has(slot)) return;
    killed.add(slot);
    process.kill(pid, 'SIGKILL');
  };
  const attempt = on.attempt;
  const insisting: Pick<Hands, 'attempt'> = { attempt: () => ({ ...attempt(), gauge: (_, figures) => dies(figures) }) };
  let end: CheckpointRef | null = null;
  let failures = 0;
  const scratch = join(on.folder, 'another');
  const deps = (): Dependencies => on.deps(store, { trainer, scratch });
  while (end === null)
    end = await driveRounds(insisting, [deps()], again, null, { order: (slots) => slots.reverse() }).catch((error) => {
      if (++failures > 2) throw error;
      return null;
    });
  expect([failures, [...killed].sort()]).toEqual([2, [0, 1]]);
  expect(end.sha256).toBe(expected.sha256);
  // Of both replicas the first round is local; in the second each image meets the texts of the other.
  expect(await bankLossOf(half)).toBe(0);
  expect(await bankLossOf(end)).toBeGreaterThan(0);
  const { manifest } = await readManifest(store, end);
  const lengths: number[] = [];
  for (const { path } of manifest.state.filter(({ path }) => path.startsWith('training'))) {
    const local = join(on.folder, path);
    writeFileSync(local, await store.get(manifest.prefix + path));
    const file = await SafetensorsFile.open(local);
    if (file.tensors.has('state/textBank')) {
      const rows = await file.readFloats('state/textBank');
      for (let i = 0; i < 4096; i++) lengths.push(Math.hypot(...rows.subarray(8 * i, 8 * i + 8)));
    }
    await file.close();
  }
  const filled = lengths.flatMap((length, i) => (length > 0 ? [i] : []));
  const ofSlot = (first: number) => Array.from({ length: 24 }, (_, i) => first + i);
  expect(filled).toEqual([...ofSlot(0), ...ofSlot(2048)]);
  for (const i of filled) expect(lengths[i]).toBeCloseTo(1, 5);
}, 400_000);
