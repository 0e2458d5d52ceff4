import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { nothingUsed } from '../../src/costs/used.ts';
import { counters } from '../../src/telemetry/counters.ts';
import { Gauges } from '../../src/telemetry/gauges.ts';
import { serveMetrics } from '../../src/telemetry/metrics-server.ts';

const phase = (name: string) => ({ run: 'first', phase: name });

it('figures of a phase are shown while it is trained here and for a minute after, those below zero too', () => {
  let now = 0;
  const gauges = new Gauges(() => now);
  gauges.set(phase('pretrain'), { step: 7, loss: 2.5, 'curation/chosen': -0.25 });
  gauges.set(phase('res-48'), { loss: 3 });
  const both = `# TYPE siglip2_step gauge
siglip2_step{phase="pretrain",run="first"} 7
# TYPE siglip2_loss gauge
siglip2_loss{phase="pretrain",run="first"} 2.5
siglip2_loss{phase="res-48",run="first"} 3
# TYPE siglip2_curation_chosen gauge
siglip2_curation_chosen{phase="pretrain",run="first"} -0.25
`;
  expect(gauges.text()).toBe(both);
  gauges.ended(phase('pretrain'));
  now = 59_999;
  expect(gauges.text()).toBe(both);
  // An attempt that ends again, of a phase that is trained by nobody, does not hold it.
  gauges.ended(phase('pretrain'));
  now = 60_000;
  const one = '# TYPE siglip2_loss gauge\nsiglip2_loss{phase="res-48",run="first"} 3\n';
  expect(gauges.text()).toBe(one);
  // A shard that ends before the next begins.
  gauges.ended(phase('res-48'));
  now = 100_000;
  gauges.set(phase('res-48'), { loss: 3 });
  now = 1e9;
  expect(gauges.text()).toBe(one);
  gauges.ended(phase('res-48'));
  gauges.ended(phase('unknown'));
  now = 2e9;
  expect(gauges.text()).toBe('');
});

it('sources, languages and parts of the model are labels, whatever they are called', () => {
  const gauges = new Gauges();
  gauges.set(phase('p'), {
    'source/a.b "c"/drawn': 0.5,
    'source/a_b/drawn/mean': 0.25,
    'language/zh-CN/chosen': 1,
    'norm/updates/mapHead': 0.125,
    'captioning/referring': 3,
    'slot/12/upBytes': 5,
  });
  expect(
    gauges.text().replaceAll(/# TYPE .*\n/g, ''),
  ).toBe(`siglip2_source_drawn{phase="p",run="first",source="a.b \\"c\\""} 0.5
siglip2_source_drawn_mean{phase="p",run="first",source="a_b"} 0.25
siglip2_language_chosen{phase="p",run="first",language="zh-CN"} 1
siglip2_norm_updates{phase="p",run="first",part="mapHead"} 0.125
siglip2_captioning_referring{phase="p",run="first"} 3
siglip2_slot_up_bytes{phase="p",run="first",slot="12"} 5
`);
});

it('what is counted begins at nought, rises, and leaves with its phase', () => {
  let now = 0;
  const gauges = new Gauges(() => now);
  const counted = () =>
    Object.fromEntries(
      [...gauges.text().matchAll(/^siglip2_(\w+)_total\{phase="p",run="first"\} (\S+)$/gm)].map(([, name, value]) => [
        name,
        Number(value),
      ]),
    );
  gauges.count(phase('p'), 'retries', 0);
  expect(Object.keys(counted())).toEqual(Object.keys(counters));
  expect(Object.values(counted()).every((value) => value === 0)).toBe(true);
  gauges.count(phase('p'), 'commits', 1);
  gauges.count(phase('p'), 'commit_seconds', 1.5);
  gauges.set(phase('p'), { examplesPerSecond: 3 });
  gauges.count(phase('p'), 'commits', 1);
  expect(counted()).toMatchObject({ commits: 2, commit_seconds: 1.5, lost_steps: 0 });
  expect(gauges.text()).toContain('siglip2_examples_per_second{phase="p",run="first"} 3\n');
  expect(gauges.text()).toContain('# TYPE siglip2_commits_total counter\n');
  gauges.ended(phase('p'));
  now = 60_000;
  expect(gauges.text()).toBe('');
  gauges.count(phase('p'), 'commits', 1);
  expect(counted()).toMatchObject({ commits: 1 });
});

it('a worker is ready from when it serves a queue on, at work too, and lives as long as it answers', async () => {
  let began = false;
  const sdk = createServer((_, response) => {
    // Its one slot is taken: it polls nothing.
    const started = began ? 'temporal_worker_start{service_name="core",task_queue="q"} 1\n' : '';
    response.end(`${started}temporal_num_pollers{poller_type="activity_task",task_queue="q"} 0\n`);
  });
  await new Promise<void>((listening) => sdk.listen(0, '127.0.0.1', listening));
  const temporal = `127.0.0.1:${(sdk.address() as AddressInfo).port}`;
  const more = async () => 'siglip2_temporal_up 1\n';
  const server = await serveMetrics({ address: '127.0.0.1:0', gauges: new Gauges(), temporal, more });
  try {
    const { port } = server.address() as AddressInfo;
    const ask = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`);
      return [answer.status, await answer.text()];
    };
    expect(await ask('/ready')).toEqual([503, 'serves no queue yet\n']);
    began = true;
    expect(await ask('/ready')).toEqual([200, 'ready\n']);
    const [status, text] = await ask('/metrics');
    expect([status, text]).toEqual([200, expect.stringMatching(/activity_task.* 0\nsiglip2_temporal_up 1\n$/)]);
    sdk.closeAllConnections();
    await new Promise((closed) => sdk.close(closed));
    expect(await ask('/live')).toEqual([200, 'live\n']);
    expect(await ask('/ready')).toEqual([503, 'serves no queue yet\n']);
  } finally {
    server.close();
  }
});

it('the endpoint answers with what the SDK counts and with ours, and without the SDK with ours', async () => {
  const gauges = new Gauges();
  gauges.set(phase('pretrain'), { loss: 2.5 });
  const sdk = createServer((_, response) => void response.end('temporal_requests 1\n'));
  await new Promise<void>((listening) => sdk.listen(0, '127.0.0.1', listening));
  const temporal = `127.0.0.1:${(sdk.address() as AddressInfo).port}`;
  const server = await serveMetrics({ address: '127.0.0.1:0', gauges, temporal });
  try {
    const { port } = server.address() as AddressInfo;
    const ask = async (path: string) => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`);
      return [answer.status, await answer.text()];
    };
    const ours = '# TYPE siglip2_loss gauge\nsiglip2_loss{phase="pretrain",run="first"} 2.5\n';
    expect(await ask('/metrics')).toEqual([200, `temporal_requests 1\n${ours}`]);
    expect(await ask('/other')).toEqual([404, '']);
    sdk.closeAllConnections();
    await new Promise((closed) => sdk.close(closed));
    const [status, text] = await ask('/metrics');
    expect(status).toBe(200);
    expect(text).toBe(`# Temporal's SDK does not answer: fetch failed\n${ours}`);
    await expect(serveMetrics({ address: `127.0.0.1:${port}`, gauges, temporal })).rejects.toMatchObject({
      code: 'SetupMissing',
      message: `SIGLIP2_METRICS asks for 127.0.0.1:${port}, which can't be listened on (EADDRINUSE); choose another port`,
    });
  } finally {
    server.close();
  }
});

it('shows the last evaluation of each task, under two names whatever figures are called, and of few tasks', () => {
  const gauges = new Gauges();
  const figures = Array.from({ length: 300 }, (_, i) => ({
    evaluator: 'knn',
    view: 'px-8',
    figure: `k${i}.top1`,
    value: i,
  }));
  const of = (task: string, step: number) => ({ ...phase('pretrain'), task, step, figures });
  gauges.evaluated(of('pets', 100));
  gauges.evaluated(of('pets', 200));
  const lines = gauges.text().trim().split('\n');
  expect(lines.slice(0, 2)).toEqual([
    '# TYPE siglip2_evaluation_step gauge',
    'siglip2_evaluation_step{phase="pretrain",run="first",task="pets"} 200',
  ]);
  expect(lines[3]).toBe(
    'siglip2_evaluation{phase="pretrain",run="first",task="pets",evaluator="knn",view="px-8",figure="k0.top1"} 0',
  );
  expect(lines).toHaveLength(3 + 200);
  for (let i = 0; i < 60; i++) gauges.evaluated(of(`task-${i}`, i));
  expect(gauges.text().match(/evaluation_step\{/g)).toHaveLength(50);
  expect(gauges.text()).not.toContain('"pets"');
});

it('what a phase has cost here counts on over its attempts, by what it was for', () => {
  const gauges = new Gauges();
  const used = (ms: number) => ({ ...nothingUsed, ms: { trained: ms }, cost: { trained: ms / 1000 } });
  gauges.spent(phase('pretrain'), used(2000), false);
  gauges.spent(phase('pretrain'), used(3000), true);
  gauges.spent(phase('pretrain'), used(500), false);
  expect(gauges.text()).toBe(`# TYPE siglip2_cost_total counter
siglip2_cost_total{phase="pretrain",run="first"} 3.5
# TYPE siglip2_device_seconds gauge
siglip2_device_seconds{phase="pretrain",run="first",part="trained"} 3.5
`);
});

it('two devices that work for one phase at once are told apart', () => {
  const gauges = new Gauges();
  gauges.set({ ...phase('p'), device: 'gpu-0' }, { 'round/slot': 0 });
  gauges.set({ ...phase('p'), device: 'gpu-1' }, { 'round/slot': 1 });
  gauges.startedWithin({ total: 4 }, 'gpu-1');
  expect(gauges.text().replaceAll(/# TYPE .*\n/g, '')).toBe(`siglip2_round_slot{device="gpu-0",phase="p",run="first"} 0
siglip2_round_slot{device="gpu-1",phase="p",run="first"} 1
siglip2_worker_first_step_seconds{device="gpu-1",part="total"} 4
`);
});
