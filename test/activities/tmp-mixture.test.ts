import { afterAll, beforeAll, expect, it } from 'vitest';
import { plan } from '../../activities/plan.ts';
import { sealScores } from '../../activities/seal-scores.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types.ts';
import { makeEmojiDataset } from '../../infra/emoji/make.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { img2dataset, picture } from '../data/img2dataset.ts';
import { tarOf } from '../data/tar-file.ts';
import { tinyRecipe } from '../faults/harness.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { type Hands, hands } from './fixture.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let trainer: TrainerProcess;
beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  const env = { ...process.env, ...server.environment };
  trainer = createTrainerProcess({ lockFile: `${on.folder}/real.lock`, log: { info(...a: unknown[]) { console.log(...a); }, warn(...a: unknown[]) { console.log(...a); } }, env });
  await makeEmojiDataset(store, { concepts: 64 });
  const words = ['cat', 'dog', 'sun', 'moon', 'tree'];
  await store.put('data/web/0.tar', await img2dataset(Array.from({ length: 60 }, (_, i) => words[i % 5]!)));
  const many = Array.from({ length: 40 }, async (_, i) => [
    { name: `${i}.jpg`, body: await picture(i) },
    { name: `${i}.json`, body: JSON.stringify({ alt: words[i % 5], captions: ['heart', words[(i + 1) % 5]] }) },
  ]);
  await store.put('data/many/0.tar', tarOf((await Promise.all(many)).flat()));
});
afterAll(async () => {
  await trainer.close();
  await on.close();
  await server.stop();
});
const mixture = [
  { name: 'own', train: 'data/emoji/train', weight: 5, languages: [{ language: 'en', weight: 3 }, { language: 'de', weight: 1 }] },
  { name: 'web', train: 'data/web', weight: 3, read: { captions: 'txt' } },
  { name: 'many', train: 'data/many', weight: 2, read: { captions: 'json', fields: [{ field: 'alt' }, { field: 'captions', weight: 3, templates: ['a {}.'] }] } },
];
const recipe = tinyRecipe({
  data: { mixture, evaluation: 'data/emoji/held-out', resize: 'antialias' },
  schedule: { total: { steps: 12 }, warmup: { steps: 2 } },
  phases: [
    { name: 'pretrain', batch: 32 },
    { name: 'shapes', from: 'pretrain', batch: 16, window: { from: { steps: 8 } }, vision: { naflex: { lengths: [4] } } },
    { name: 'acid', from: 'pretrain', batch: 16, window: { from: { steps: 8 } }, curation: { teacher: 'pretrain', filterRatio: 0.5, chunks: 2, scoring: 'online' } },
  ],
  checkpoint: { every: { steps: 4 }, shard: { steps: 8 } },
});
it('works', async () => {
  const deps = on.deps(store, { trainer });
  const run = await plan(deps, { run: 'm', recipe }, on.attempt());
  console.log(run.phases.map(({ phase, from, to, origin }) => [phase, from, to, origin]));
  const [pretrain, shapes, acid] = run.phases as [PhasePlan, PhasePlan, PhasePlan];
  const trained = async (phase: PhasePlan, parent: CheckpointRef | null) => {
    const t = performance.now();
    const { checkpoint } = await trainShard(deps, { plan: phase, revision: 0, parent, from: null, toStep: phase.to.step }, on.attempt());
    console.log(phase.phase, checkpoint, performance.now() - t);
    return checkpoint;
  };
  const first = await trained(pretrain, null);
  await trained(shapes, first);
  const sealed = await sealScores(deps, { plan: acid, teacher: first }, on.attempt());
  await trained(sealed, first);
  expect(1).toBe(1);
}, 300_000);
