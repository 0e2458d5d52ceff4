import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { IdleClock, whenIdle } from '../../src/worker-life/idle.ts';

it('a worker is idle when all kinds of tasks have been at rest for so long, counted from the end of the last', () => {
  let now = 0;
  const clock = new IdleClock(1000, () => now);
  const [activities, workflows] = [clock.counter(), clock.counter()];
  now = 600;
  expect(clock.leftMs).toBe(400);
  activities(1);
  workflows(1);
  workflows(0);
  now = 50_000;
  expect(clock.leftMs).toBe(Number.POSITIVE_INFINITY);
  activities(2);
  activities(1);
  activities(0);
  expect(clock.leftMs).toBe(1000);
  now = 51_000;
  expect(clock.leftMs).toBe(0);
  // One task of a workflow that is over before anybody looks.
  workflows(1);
  workflows(0);
  expect(clock.leftMs).toBe(1000);
});

it('while Temporal does not answer no worker is idle, and the time begins anew when it does', async () => {
  let now = 0;
  let away = true;
  const heard: boolean[] = [];
  const asked: number[] = [];
  const clock = new IdleClock(100, () => now);
  const end = new AbortController();
  const idle = whenIdle(clock, {
    signal: end.signal,
    onReachable: (answers) => void heard.push(answers),
    reachable: async () => {
      asked.push(now);
      now += 60;
      if (asked.length === 5) away = false;
      return !away;
    },
  });
  expect(await idle).toBe(true);
  expect(heard).toEqual([false, true]);
  // The fifth is the first that is answered, at 300; then 100 have to pass.
  expect(asked).toEqual([0, 60, 120, 180, 240, 300, 360]);
});

it('a task that comes while Temporal is asked is no idle time, and a signal ends the waiting', async () => {
  const clock = new IdleClock(50);
  const count = clock.counter();
  const end = new AbortController();
  await delay(60);
  const idle = whenIdle(clock, {
    signal: end.signal,
    onReachable() {},
    async reachable() {
      count(1);
      return true;
    },
  });
  await delay(100);
  end.abort();
  expect(await idle).toBe(false);
});
