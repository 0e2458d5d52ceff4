import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { type EndReason, WorkerLife } from '../../src/worker-life/life.ts';
import { ShardCount } from '../../src/worker-life/shard-count.ts';

const idle: EndReason = { by: 'rule', why: 'idle for 120 s' };
const spot: EndReason = { by: 'preemption', why: 'SIGTERM' };
const person: EndReason = { by: 'person', why: 'SIGINT' };

/** An activity that ends, kept or not, after `end` was called; or still runs. */
function codeOf(end: (life: WorkerLife) => void, kept?: boolean): number {
  const life = new WorkerLife(1000);
  const over = life.began();
  end(life);
  if (kept !== undefined) over(kept);
  return life.exitCode;
}

it('the exit code says who ended it and whether what was begun is kept', () => {
  expect(codeOf((life) => life.drain(idle), true)).toBe(0);
  // What failed by itself while it drained is told to Temporal, and was not cut short.
  expect(codeOf((life) => life.drain(idle), false)).toBe(0);
  expect(codeOf((life) => life.stop(spot), true)).toBe(20);
  expect(codeOf((life) => life.stop(spot), false)).toBe(21);
  expect(codeOf((life) => life.stop(spot))).toBe(21);
  expect(codeOf((life) => life.stop(person), true)).toBe(0);
  expect(codeOf((life) => life.stop(person))).toBe(21);
  expect(codeOf((life) => life.stop({ by: 'rule', why: '--max-hours 1' }), true)).toBe(0);
  expect(codeOf((life) => life.stop({ by: 'rule', why: '--max-hours 1' }), false)).toBe(21);
});

it('draining interrupts nothing, may turn into stopping, and the first of each counts', () => {
  const life = new WorkerLife(1000);
  expect(life.drain(idle)).toBe(true);
  expect([life.draining.aborted, life.stopping.aborted, life.interrupt.aborted]).toEqual([true, false, false]);
  expect(life.drain({ ...idle, why: 'again' })).toBe(false);
  expect(life.stop(spot)).toBe(true);
  expect([life.interrupt.aborted, life.reason]).toEqual([true, spot]);
  expect(life.stop(person)).toBe(false);
  expect(life.drain(idle)).toBe(false);
  expect(life.reason).toBe(spot);
});

it('an interruption of one connection is over for what begins on the next', () => {
  const life = new WorkerLife(1000);
  const first = life.interrupt;
  life.interruptAll();
  life.resume();
  expect([first.aborted, life.interrupt.aborted]).toEqual([true, false]);
  life.stop(spot);
  life.resume();
  expect(life.interrupt.aborted).toBe(true);
});

it('when it stops the grace period bounds all; when it drains, only what is no activity', async () => {
  const stopped = new WorkerLife(20);
  stopped.began();
  stopped.stop(spot);
  const drained = new WorkerLife(20);
  const over = drained.began();
  drained.drain(idle);
  await delay(60);
  expect([stopped.late.aborted, drained.late.aborted]).toEqual([true, false]);
  over(true);
  await delay(60);
  expect(drained.late.aborted).toBe(true);
});

it('shards count when they are taken, over all queues, and none is taken after the last', () => {
  const shards = new ShardCount(3);
  const [device, detector] = [shards.counter(), shards.counter()];
  for (const count of [0, 1, 0]) device(count);
  for (const count of [0, 1]) detector(count);
  expect(shards.full.aborted).toBe(false);
  device(1);
  expect(shards.full.aborted).toBe(true);
  const endless = new ShardCount(null);
  endless.counter()(1000);
  expect(endless.full.aborted).toBe(false);
});
