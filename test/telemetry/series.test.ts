import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fetchMetrics } from '../../src/commands/fetch-metrics.ts';
import { metricsAddress } from '../../src/runtime/environment.ts';
import { MetricSeries } from '../../src/telemetry/series.ts';
import { MemoryStore } from '../data/memory-store.ts';

const at = (step: number, revision = 0) => ({ run: 'run', phase: 'pretrain', revision, step });
const record = (step: number) => ({ step, time: 1_700_000_000_000 + step, values: { loss: 100 / step } });

it('a series has every step once, in order, also when a worker was killed between two commits', async () => {
  const store = new MemoryStore();
  const killed = new MetricSeries();
  for (const step of [5, 10, 15]) killed.add(record(step));
  await killed.keep(store, at(10), 0);
  // Its steps after 10 are lost with it, and trained again.
  const next = new MetricSeries();
  for (const step of [12, 17, 20]) next.add(record(step));
  await next.keep(store, at(20), 10);
  const folder = mkdtempSync(join(tmpdir(), 'metrics-'));
  try {
    for (let again = 0; again < 2; again++) expect(await fetchMetrics(store, 'run', folder)).toBe(4);
    const lines = readFileSync(join(folder, 'pretrain.jsonl'), 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      [5, 10, 12, 17, 20].map((step) => {
        return { step, time: new Date(record(step).time).toISOString(), loss: 100 / step };
      }),
    );
    expect(readdirSync(join(folder, 'pretrain')).sort()).toEqual([
      'events.out.tfevents.r000-step-00000010',
      'events.out.tfevents.r000-step-00000020',
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it('the metrics endpoint is on loopback unless an address is given, and nonsense is refused', () => {
  expect(metricsAddress({})).toBeNull();
  expect(metricsAddress({ SIGLIP2_METRICS: '9464' })).toBe('127.0.0.1:9464');
  expect(metricsAddress({ SIGLIP2_METRICS: '0.0.0.0:9464' })).toBe('0.0.0.0:9464');
  expect(() => metricsAddress({ SIGLIP2_METRICS: 'yes' })).toThrow(
    /a port, which listens on loopback, or ADDRESS:PORT/,
  );
});
