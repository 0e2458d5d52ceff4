import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { evaluate } from '../../activities/evaluate.ts';
import { plan } from '../../activities/plan.ts';
import { replan } from '../../activities/replan.ts';
import { scoreShard } from '../../activities/score-shard.ts';
import { sealScores } from '../../activities/seal-scores.ts';
import { trainShard } from '../../activities/train-shard.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import type { CheckpointRef } from '../../src/checkpoint/types.ts';
import type { StoredIndex } from '../../src/data/index/types.ts';
import { sheetSchema } from '../../src/evaluate/sheet/sheet.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { img2dataset, keyOf, picture } from '../data/img2dataset.ts';
import { tarOf } from '../data/tar-file.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { type Hands, hands } from './fixture.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let trainer: TrainerProcess;

const smoke = JSON.parse(readFileSync(new URL('../../infra/recipes/smoke.json', import.meta.url), 'utf8'));
const classes = ['red tiles', 'green tiles', 'blue tiles', 'grey tiles'];
const recipe = {
  ...smoke,
  data: {
    train: 'data/laion',
    read: { captions: 'txt', draw: 'first' },
    evaluation: 'data/tiles/test',
    evaluationRead: {
      ...{ captions: 'class', class: 'cls', classnames: 'data/tiles/classnames.txt' },
      templates: ['a photo of {}', 'many {}.'],
    },
    resize: 'antialias',
  },
  schedule: { total: { steps: 4 }, warmup: { steps: 1 } },
  phases: [
    // Images of any shape, so that these are trained on, score and are evaluated too.
    { name: 'pretrain', batch: 8, window: { to: { steps: 2 } }, vision: { naflex: { lengths: [4] } } },
    { name: 'acid', batch: 4, curation: { teacher: 'pretrain', filterRatio: 0.5, chunks: 2, scoring: 'stored' } },
  ],
  checkpoint: { every: { steps: 2 }, shard: { steps: 2 } },
};

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  const env = { ...process.env, ...server.environment };
  trainer = createTrainerProcess({ lockFile: `${on.folder}/real.lock`, log: { info() {}, warn() {} }, env });
  const captions = Array.from({ length: 24 }, (_, i) => `tiles of ${classes[i % 4]!.split(' ')[0]}, number ${i}`);
  await store.put('data/laion/00000.tar', await img2dataset(captions));
  await store.put('data/laion/00001.tar', await img2dataset([...captions.slice(0, 21), null], 24));
  await store.put('data/laion/00000_stats.json', '{"count": 24}');
  const members = await Promise.all(
    Array.from({ length: 8 }, async (_, i) => [
      { name: `s${i}.cls`, body: `${i % 4}` },
      { name: `s${i}.webp`, body: await picture(i + 7) },
    ]),
  );
  await store.put('data/tiles/test/0.tar', tarOf(members.flat()));
  await store.put('data/tiles/classnames.txt', classes.join('\n'));
});
afterAll(async () => {
  await trainer.close();
  await on.close();
  await server.stop();
});

const deps = () => on.deps(store, { trainer });
const trained = async (phase: PhasePlan): Promise<CheckpointRef> => {
  const input = { plan: phase, revision: 0, parent: null, from: null, toStep: phase.to.step };
  return (await trainShard(deps(), input, on.attempt())).checkpoint;
};

it('shards of img2dataset and of CLIP_benchmark train, score, curate and evaluate as they are, with NaFlex too', async () => {
  const run = await plan(deps(), { run: 'foreign', recipe }, on.attempt());
  expect(run).toMatchObject({ examples: 45, corrupt: 1, evaluation: { languages: ['en'], corrupt: 0 } });
  const [pretrain, acid] = run.phases as [PhasePlan, PhasePlan];
  const index = JSON.parse((await store.get(pretrain.index.key)).toString()) as StoredIndex;
  expect([index.read, index.corrupt]).toEqual([
    { captions: 'txt', language: 'en' },
    [{ shard: 'data/laion/00001.tar', name: keyOf(45), reason: 'empty txt member' }],
  ]);

  const teacher = await trained(pretrain);
  expect(teacher).toMatchObject({ phase: 'pretrain', step: 2, examples: 16 });
  const { model, languages, dtype } = acid.curation!;
  const scoring = { plan: acid, teacher: { checkpoint: teacher, model }, languages, dtype };
  const scored = [0, 1].map((shard) => scoreShard(deps(), { ...scoring, shard }, on.attempt()));
  expect((await Promise.all(scored)).map(({ examples, corrupt }) => [examples, corrupt])).toEqual([
    [24, 0],
    [21, 0],
  ]);
  const sealed = await sealScores(deps(), { plan: acid, teacher }, on.attempt());
  expect(await trained(sealed)).toMatchObject({ phase: 'acid', step: acid.to.step });

  const evaluation = run.evaluation!;
  const input = { plan: pretrain, evaluation, checkpoint: teacher };
  const { key, report } = await evaluate(deps(), input, on.attempt());
  const sheet = sheetSchema.parse(JSON.parse((await store.get(key.replace('evaluation-', 'sheet-'))).toString()));
  expect([sheet.looked.pictures, sheet.outcomes.length]).toEqual([8, 8]);
  const right = sheet.outcomes.filter((one) => one.right).length;
  expect((report.zero_shot as { top1: number }).top1).toBeCloseTo(right / 8, 12);
  expect(report).toMatchObject({ examples: 8, corrupt: 0, zero_shot: { classes: 4, examples: 8, chance: 0.25 } });

  // Other data in another layout, which retryPhase names with how it is read.
  const overrides = { data: 'data/tiles/test', read: recipe.data.evaluationRead };
  const wish = { plan: pretrain, overrides, at: pretrain.from } as unknown as Parameters<typeof replan>[1];
  await expect(replan(deps(), wish, on.attempt())).rejects.toThrow(/"data\/tiles\/test", which is evaluated on/);
  const json = { ...wish, overrides: { read: { captions: 'json', field: 'caption' } } } as unknown as typeof wish;
  const other = await replan(deps(), json, on.attempt());
  const again = JSON.parse((await store.get(other.index.key)).toString()) as StoredIndex;
  expect(again.read).toEqual({ captions: 'json', field: 'caption', language: 'en' });
  expect([again.fingerprint, other.index.identity === pretrain.index.identity]).toEqual([index.fingerprint, false]);
}, 120_000);
