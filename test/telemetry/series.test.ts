import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { recordEnd } from '../../src/checkpoint/ends.ts';
import { fetchMetrics } from '../../src/commands/fetch-metrics.ts';
import { metricsAddress } from '../../src/runtime/environment.ts';
import { MetricSeries } from '../../src/telemetry/series.ts';
import { MemoryStore } from '../data/memory-store.ts';

const at = (step: number, revision = 0) => ({ run: 'run', phase: 'pretrain', revision, step });
const record = (step: number, loss = 100 / step) => ({ step, time: 1_700_000_000_000 + step, values: { loss } });
let folder: string;
let store: MemoryStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'metrics-'));
  store = new MemoryStore();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** An attempt that made these steps and kept them with commits after some of them. */
async function attempt(from: number, to: number, commits: readonly number[], loss?: number, revision = 0) {
  const series = new MetricSeries();
  for (let step = from; step <= to; step++) {
    series.add([record(step, loss)]);
    if (commits.includes(step)) await series.keep(store, at(step, revision));
  }
}

async function fetched() {
  await fetchMetrics(store, 'run', folder);
  const lines = readFileSync(join(folder, 'pretrain.jsonl'), 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line) as { step: number; loss: number; time: string });
}
const events = () => readdirSync(join(folder, 'pretrain')).sort();
const oneTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

it('a series that is fetched has every step once, in order, wherever attempts were killed and cut', async () => {
  await attempt(1, 40, [10, 20, 30, 40]);
  const undisturbed = await fetched();
  expect(undisturbed.map(({ step }) => step)).toEqual(oneTo(40));
  expect(undisturbed[16]).toEqual({ step: 17, time: new Date(record(17).time).toISOString(), loss: 100 / 17 });
  expect(events()).toEqual([10, 20, 30, 40].map((step) => `events.out.tfevents.r000-step-000000${step}`));

  store = new MemoryStore();
  // Killed after its figures were written, and before step 30 was committed: its successor goes on at 20, is stopped at
  // 25, and leaves 30 out, since its snapshot is overtaken.
  await attempt(1, 33, [10, 20, 30]);
  await attempt(21, 25, [25]);
  await attempt(26, 40, [40]);
  expect(await fetched()).toEqual(undisturbed);
  // Again, over what is there; a piece that no longer counts is gone.
  writeFileSync(join(folder, 'pretrain', 'events.out.tfevents.r000-step-00000007'), 'of another time');
  expect(await fetched()).toEqual(undisturbed);
  expect(events()).toEqual([10, 20, 30, 40].map((step) => `events.out.tfevents.r000-step-000000${step}`));
});

it('what a revision gave up is not in the series: the next counts from its first step on', async () => {
  await attempt(1, 30, [10, 20, 30], 5);
  await attempt(13, 25, [20, 25], 4, 1);
  await attempt(16, 28, [28], 3, 2);
  const found = await fetched();
  expect(found.map(({ step }) => step)).toEqual(oneTo(28));
  expect(found.map(({ loss }) => loss)).toEqual(oneTo(28).map((step) => (step < 13 ? 5 : step < 16 ? 4 : 3)));
  // What it ended with is in an older one: the newer was given up.
  const hash = 'a'.repeat(64);
  const prefix = 'runs/run/pretrain/r1/step-00000025-a/';
  await recordEnd(store, { ...at(25, 1), examples: 25, prefix, manifestSha256: hash, sha256: hash });
  const ended = await fetched();
  expect(ended.map(({ loss }) => loss)).toEqual(oneTo(25).map((step) => (step < 13 ? 5 : 4)));
});

it('a series of an older version, of uneven steps, goes on in a new one; lines that are none are left out', async () => {
  const line = (step: number) => JSON.stringify({ step, time: '2026-01-02T03:04:05.006Z', loss: 1, dataWaitShare: 0 });
  const old = 'runs/run/pretrain/metrics/r000-step-00000010.jsonl';
  await store.put(old, `${line(3)}\n${line(10)}\nnot JSON\n{"step": "x"}\n`);
  await attempt(11, 12, [12]);
  const found = await fetched();
  expect(found.map(({ step }) => step)).toEqual([3, 10, 11, 12]);
  expect(found[1]).toEqual({ step: 10, time: '2026-01-02T03:04:05.006Z', loss: 1, dataWaitShare: 0 });
});

it('what could not be written is written with the next commit', async () => {
  const series = new MetricSeries();
  series.add([record(1), record(2)]);
  const { put } = store;
  store.put = () => Promise.reject(new Error('away'));
  await expect(series.keep(store, at(2))).rejects.toThrow('away');
  store.put = put;
  series.add([record(3), record(4)]);
  await series.keep(store, at(3));
  expect((await fetched()).map(({ step }) => step)).toEqual([1, 2, 3]);
});

it('the metrics endpoint is on loopback unless an address is given, and nonsense is refused', () => {
  expect(metricsAddress({})).toBeNull();
  expect(metricsAddress({ SIGLIP2_METRICS: '9464' })).toBe('127.0.0.1:9464');
  expect(metricsAddress({ SIGLIP2_METRICS: '0.0.0.0:9464' })).toBe('0.0.0.0:9464');
  expect(() => metricsAddress({ SIGLIP2_METRICS: 'yes' })).toThrow(
    /a port, which listens on loopback, or ADDRESS:PORT/,
  );
});

it('evaluations by tasks are curves of their own, beside those of training', async () => {
  await attempt(1, 20, [10, 20]);
  const evaluated = (step: number, top1: number) => {
    const figure = {
      evaluator: 'knn',
      view: 'px-8',
      figures: { k5: { top1 } },
      fingerprint: {},
      outcomes: { key: 'o', sha256: 's' },
    };
    const result = { version: 1, task: { name: 'pets' }, model: { name: 'm', sha256: 's' }, figures: [figure] };
    return store.put(`evaluations/run/pretrain-${step}/pets-0/result.json`, JSON.stringify(result));
  };
  await evaluated(20, 0.5);
  await evaluated(10, 0.25);
  await store.put('evaluations/run/pretrain-15/pets-0/result.json', '{');
  await store.put('evaluations/run/pretrain-20/pets-0/figures/knn-px-8.json', '{}');
  expect((await fetched()).map(({ step }) => step)).toEqual(oneTo(20));
  expect(events().at(-1)).toBe('events.out.tfevents.z-evaluations');
  const lines = readFileSync(join(folder, 'pretrain-evaluations.jsonl'), 'utf8').trim().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual(
    [10, 20].map((step) => ({ step, time: expect.any(String), 'pets/knn/px-8/k5.top1': step / 40 })),
  );
});
