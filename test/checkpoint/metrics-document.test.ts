import { afterAll, beforeAll, expect, it } from 'vitest';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { readCommit } from '../../src/checkpoint/commits.ts';
import { toDocument } from '../../src/checkpoint/documents.ts';
import { keepMetrics, type MetricsDocument, metricsKey } from '../../src/checkpoint/metrics-document.ts';
import { deleteCheckpoint } from '../../src/checkpoint/retention.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { makeSnapshot } from './snapshot.ts';

let server: TestServer;
let store: S3ObjectStore;
beforeAll(async () => {
  server = await startServer();
  store = server.store();
});
afterAll(() => server.stop());

const phaseEnd = (sha256: string, top1: number) =>
  toDocument({
    checkpoint: { run: 'one', phase: 'pretrain', step: 10, sha256 },
    data: 'd',
    examples: 4,
    zero_shot: { top1 },
  });

it('names the evaluations of this very checkpoint, all of those that end at once, and goes with it', async () => {
  const at = { run: 'one', phase: 'pretrain', revision: 0, step: 10 };
  await commitCheckpoint(store, await makeSnapshot({ ...at, attempt: 'a' }));
  const commit = await readCommit(store, at);
  const evaluated = async (task: string, sha256 = commit.sha256) => {
    const figure = { evaluator: 'knn', view: 'px-8', figures: { k5: { top1: 0.5 } }, fingerprint: { device: 'cpu' } };
    const outcomes = { key: 'o', bytes: 1, sha256: 's' };
    const document = {
      version: 1,
      task: { name: task },
      model: { name: 'm', sha256 },
      figures: [{ ...figure, outcomes }],
    };
    await store.put(`evaluations/one/pretrain-10/${task}-0/result.json`, toDocument(document));
    await keepMetrics(store, commit);
  };
  const read = async () => JSON.parse((await store.get(metricsKey(commit))).toString('utf8')) as MetricsDocument;
  await keepMetrics(store, commit);
  expect((await read()).evaluations).toEqual([]);
  const tasks = Array.from({ length: 6 }, (_, i) => `task-${i}`);
  await Promise.all([...tasks.map((task) => evaluated(task)), evaluated('of-another', 'f'.repeat(64))]);
  await store.put('evaluations/one/pretrain-10/broken-0/result.json', '{');
  await store.put('evaluations/one/pretrain-100/other-0/result.json', toDocument({}));
  await keepMetrics(store, commit);
  const document = await read();
  expect(document).toMatchObject({ ...at, sha256: commit.sha256, metrics: commit.metrics });
  expect(document.evaluations.map(({ task }) => task)).toEqual(tasks);
  expect(document.evaluation).toBeUndefined();
  expect(document.evaluations[0]).toEqual({
    ...{ task: 'task-0', key: 'evaluations/one/pretrain-10/task-0-0/result.json' },
    figures: [{ evaluator: 'knn', view: 'px-8', figures: { k5: { top1: 0.5 } } }],
  });
  await store.put('runs/one/pretrain/evaluation-00000000000000aa.json', phaseEnd('f'.repeat(64), 0.5));
  await store.put('runs/one/pretrain/evaluation-00000000000000bb.json', '{');
  await store.put('runs/one/pretrain/evaluation-00000000000000cc.json', phaseEnd(commit.sha256, 0.25));
  await keepMetrics(store, commit);
  expect((await read()).evaluation).toEqual({
    ...{ key: 'runs/one/pretrain/evaluation-00000000000000cc.json', data: 'd', examples: 4, zero_shot: { top1: 0.25 } },
  });
  await deleteCheckpoint(store, at);
  await expect(read()).rejects.toThrow();
});
