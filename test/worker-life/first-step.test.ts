import { expect, it } from 'vitest';
import { Gauges } from '../../src/telemetry/gauges.ts';
import { FirstStep } from '../../src/worker-life/first-step.ts';

it('the time to the first step is told once, in parts that follow one another and sum up to it', () => {
  let now = 1200;
  const first = new FirstStep(() => now);
  now = 1500;
  first.connected();
  now = 4000;
  first.taken();
  // A connection that comes back, and a shard that is tried again, begin nothing anew.
  first.connected();
  first.taken();
  now = 4600;
  first.ready();
  now = 5000;
  first.sent();
  now = 9000;
  const seconds = first.stepped({ compile: 1500, state: 250, step: 750 })!;
  expect(seconds).toEqual({
    ...{ load: 1.2, connect: 0.3, wait: 2.5, trainer: 0.6, fetch: 0.4, compile: 3, state: 0.25, step: 0.75 },
    total: 9,
  });
  const { total, ...parts } = seconds;
  expect(Object.values(parts).reduce((sum, part) => sum + part, 0)).toBeCloseTo(total, 9);
  now = 20_000;
  expect(first.stepped({ compile: 1, state: 1, step: 1 })).toBeNull();

  const gauges = new Gauges();
  gauges.startedWithin({ load: seconds.load, total });
  expect(gauges.text()).toBe(`# TYPE siglip2_worker_first_step_seconds gauge
siglip2_worker_first_step_seconds{part="load"} 1.2
siglip2_worker_first_step_seconds{part="total"} 9
`);
});
