import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { guardFigure } from '../../activities/evaluation-guard.ts';
import { bestWatched, watchFigure } from '../../activities/evaluation-watch.ts';
import type { PhasePlan } from '../../activities/types/plan.ts';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { toDocument, toRef } from '../../src/checkpoint/documents.ts';
import { earlyStoppingKey } from '../../src/checkpoint/keys.ts';
import { pinsOf } from '../../src/checkpoint/pins.ts';
import { pruneCheckpoints } from '../../src/checkpoint/retention.ts';
import { releaseWatched } from '../../src/checkpoint/watched.ts';
import { writeOutcomes } from '../../src/evaluate/evaluators/outcomes.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { makeSnapshot } from '../checkpoint/snapshot.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { planOf } from '../workflows/harness.ts';
import { type Hands, hands } from './fixture.ts';

let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let folder: string;
beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  folder = await mkdtemp(join(tmpdir(), 'siglip2-watch-'));
});
afterAll(async () => {
  await on.close();
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const phase = 'pretrain';
const pictures = 400;

function planned(run: string, earlyStopping: object = {}): PhasePlan {
  const best = { task: 'pets', evaluator: 'knn', figure: 'k5.top1' };
  const stopping = { patience: 2, threshold: 0, restoreBest: true, ...earlyStopping };
  return { ...planOf(run, 1000, 100), tasks: { documents: [], every: 100, best, earlyStopping: stopping } };
}

/** A checkpoint whose evaluation says that the first `right` of the pictures are right. */
async function evaluated(run: string, step: number, right: number, revision = 0) {
  await commitCheckpoint(store, await makeSnapshot({ run, step, revision, attempt: `a${step}` }));
  const checkpoint = toRef(await readCommit(store, { run, phase, step, revision }));
  const prefix = `evaluations/${run}/${phase}-${step}/pets-${revision}/`;
  const values = Float32Array.from({ length: pictures }, (_, i) => (i < right ? 1 : 0));
  const file = join(folder, 'outcomes.safetensors');
  await writeOutcomes(file, { 'k5.top1': { values, pictures: Int32Array.from(values, (_, i) => i) } });
  const key = `${prefix}figures/knn-px-8.safetensors`;
  await store.put(key, await readFile(file));
  const fingerprint = { 'data.shards': 's', 'data.sample': 'all', 'data.pictures': 'p' };
  const document = {
    ...{ evaluator: 'knn', view: 'px-8', figures: { k5: { top1: right / pictures } }, notes: [], intervals: {} },
    ...{ examples: pictures, fingerprint, outcomes: { key, bytes: 1, sha256: 'a' } },
  };
  await store.put(`${prefix}figures/knn-px-8.json`, toDocument(document));
  const result = { version: 1, task: { name: 'pets' }, model: { name: 'm', sha256: 's' }, figures: [document] };
  await store.put(`${prefix}result.json`, toDocument(result));
  return { checkpoint, key: `${prefix}result.json` };
}

const held = async (run: string) => (await pinsOf(store, { run, phase })).map(({ step, who }) => `${step} ${who}`);

it('a figure has risen when it is higher by more than its interval over the same pictures, and the highest is held', async () => {
  const plan = planned('rises');
  const deps = on.deps(store);
  const told = [];
  // Two pictures more are within the interval; they are the best all the same. Twenty are not.
  for (const [step, right] of [100, 102, 122, 121, 122].map((right, i) => [100 * (i + 1), right] as const)) {
    const input = { plan, ...(await evaluated('rises', step, right)) };
    told.push(await watchFigure(deps, input, on.attempt()));
    // Killed before it was recorded in the history, it says the same again.
    expect(await watchFigure(deps, input, on.attempt())).toEqual(told.at(-1));
    await pruneCheckpoints(store, { run: 'rises', phase }, { newest: 1, steps: [], used: [] });
  }
  expect(told.map(({ without, best, value }) => [without, best.step, value])).toEqual([
    [0, 100, 100 / pictures],
    [1, 200, 102 / pictures],
    [0, 300, 122 / pictures],
    [1, 300, 121 / pictures],
    [2, 300, 122 / pictures],
  ]);
  expect(told.at(-1)).toMatchObject({ figure: 'pets knn k5.top1', patience: 2, best: { value: 122 / pictures } });
  expect(await held('rises')).toEqual(['300 early-stopping']);
  expect((await bestWatched(deps, { plan }, on.attempt()))!.checkpoint).toMatchObject({ step: 300, revision: 0 });
  await releaseWatched(store, plan);
  expect(await held('rises')).toEqual([]);
});

it('a phase that is started again goes by what was evaluated before, and by no evaluation in between', async () => {
  const plan = planned('again', { restoreBest: false, threshold: 0.1 });
  const deps = on.deps(store);
  const looked = async (step: number, right: number, revision = 0) =>
    watchFigure(deps, { plan, ...(await evaluated('again', step, right, revision)) }, on.attempt());
  expect(await looked(100, 100)).toMatchObject({ without: 0 });
  // Higher by 0.1 is not higher by more than that.
  expect(await looked(200, 140)).toMatchObject({ without: 1, best: { step: 200 } });
  expect(await held('again')).toEqual([]);
  // At the newest checkpoint there is, between two evaluations: what the one before said stands.
  expect(await looked(250, 400)).toMatchObject({ step: 200, without: 1, value: 140 / pictures });
  const before = await store.get(earlyStoppingKey(plan));
  expect(JSON.parse(before.toString('utf8')).figures.map(({ step }: { step: number }) => step)).toEqual([100, 200]);
  // Other settings from 150 on: they are given their time, and 200 was given up.
  expect(await looked(200, 120, 1)).toMatchObject({ without: 1, best: { step: 200, value: 120 / pictures } });
  expect(await looked(300, 120, 1)).toMatchObject({ without: 2, best: { step: 200 } });
  // Another figure begins anew.
  const other = { ...plan, tasks: { ...plan.tasks!, best: { task: 'pets', evaluator: 'knn', figure: 'k9.top1' } } };
  await expect(
    watchFigure(deps, { plan: other, ...(await evaluated('again', 400, 1, 1)) }, on.attempt()),
  ).rejects.toThrow('there is no figure knn k9.top1');
  expect(await bestWatched(deps, { plan: other }, on.attempt())).toBe(null);
});

it('a phase that went back goes by checkpoints that are there, and ends with none that was given up', async () => {
  const plan = planned('back');
  const deps = on.deps(store);
  const looked = async (step: number, right: number, revision = 0) =>
    watchFigure(deps, { plan, ...(await evaluated('back', step, right, revision)) }, on.attempt());
  await looked(100, 150);
  expect(await looked(200, 200)).toMatchObject({ best: { step: 200 } });
  // Held is 200 alone, so 100 may go; then 200 is given up.
  await pruneCheckpoints(store, { run: 'back', phase }, { newest: 1, steps: [], used: [] });
  expect(await looked(200, 120, 1)).toMatchObject({ without: 1, best: { step: 200, value: 120 / pictures } });
  expect(await held('back')).toEqual(['200 early-stopping']);
  // Of revision 0 there is the higher one still, and nothing was evaluated since it went back again.
  const { checkpoint } = await evaluated('back', 150, 0, 2);
  expect(await bestWatched(deps, { plan, checkpoint }, on.attempt())).toBe(null);
  const later = { ...checkpoint, revision: 1, step: 300 };
  expect((await bestWatched(deps, { plan, checkpoint: later }, on.attempt()))!.checkpoint).toMatchObject({
    step: 200,
    revision: 1,
  });
});

it('a figure that may not fall is read of both evaluations, and one that is not there is named by its field', async () => {
  const plan = planOf('guarded', 1000, 100);
  const guard = { task: 'pets', evaluator: 'knn', figure: 'k5.top1', fall: 0.1 };
  const guarded = { ...plan, tasks: { documents: [], every: 100, guard } };
  const { key: before } = await evaluated('guarded', 0, 100);
  const { key } = await evaluated('guarded', 100, 80);
  expect(await guardFigure(on.deps(store), { plan: guarded, before, key })).toEqual({ before: 0.25, value: 0.2 });
  const other = { ...guarded, tasks: { ...guarded.tasks, guard: { ...guard, figure: 'k9.top1' } } };
  await expect(guardFigure(on.deps(store), { plan: other, before, key })).rejects.toThrow(
    'evaluate.guard: there is no figure knn k9.top1',
  );
});
