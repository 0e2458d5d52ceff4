import { describe, expect, it } from 'vitest';
import { type Metered, settle, UseMeter } from '../../activities/use-meter.ts';
import type { Prices } from '../../src/costs/prices.ts';
import { costOf, deviceMsIn } from '../../src/costs/used.ts';
import { randomStream } from '../../src/runtime/random.ts';

const prices: Prices = { currency: null, hour: 3600, egress: null, writes: null, reads: null, storage: null };

/** A clock that is moved by hand. */
function clocked(earlier: Metered | null = null) {
  let now = 0;
  const meter = new UseMeter('preparing', prices, earlier, () => now);
  const wait = (ms: number) => {
    now += ms;
  };
  return { meter, wait };
}

describe('the meter of an attempt', () => {
  it('tells what a checkpoint holds from what none does, and both from what is no step', () => {
    const { meter, wait } = clocked();
    wait(1000);
    meter.begins(0, 0);
    wait(500);
    for (let step = 1; step <= 10; step++, wait(100)) meter.stepped(step, 100);
    meter.snapshot(10);
    for (let step = 11; step <= 13; step++, wait(100)) meter.stepped(step, 100);
    expect(meter.metered().used.ms).toEqual({ preparing: 1500, repeated: 1300 });
    meter.committed(10);
    expect(meter.metered()).toMatchObject({
      used: { ms: { preparing: 1500, trained: 1000, repeated: 300 } },
      pending: { used: { ms: { repeated: 300 } }, from: 10, to: 13 },
    });
    meter.snapshot(13);
    wait(20);
    meter.at('committing');
    wait(680);
    meter.committed(13);
    const { used, pending } = meter.metered();
    expect([used.ms, pending]).toEqual([{ preparing: 1500, trained: 1300, committing: 700 }, undefined]);
    // 3,600 an hour is 1 a second.
    expect(costOf(used)).toBeCloseTo(3.5, 9);
  });

  it('agrees with a look at every millisecond, whatever came when', () => {
    const random = randomStream(7, 'meter');
    for (let round = 0; round < 50; round++) {
      const { meter, wait } = clocked();
      meter.begins(0, 0);
      // What each millisecond was: the step that was being made, or none.
      const line: number[] = [];
      const spend = (step: number) => {
        const ms = 1 + Math.floor(random.next() * 30);
        for (let i = 0; i < ms; i++) line.push(step);
        wait(ms);
      };
      let [step, kept] = [0, 0];
      const taken: number[] = [];
      for (let event = 0; event < 40; event++) {
        const what = random.next();
        if (what < 0.6) {
          meter.stepped(++step, 10);
          spend(step);
        } else if (what < 0.75) {
          if (step > (taken.at(-1) ?? kept)) {
            meter.snapshot(step);
            taken.push(step);
          }
        } else if (what < 0.9) {
          const [of] = taken.splice(0, 1);
          if (of !== undefined) {
            meter.committed(of);
            kept = of;
          }
        } else {
          meter.at('preparing');
          spend(0);
        }
      }
      const count = (fits: (step: number) => boolean) => line.filter(fits).length;
      const { ms } = meter.metered().used;
      expect(ms.trained ?? 0).toBe(count((one) => one > 0 && one <= kept));
      expect(ms.repeated ?? 0).toBe(count((one) => one > kept));
      expect(ms.preparing ?? 0).toBe(count((one) => one === 0));
    }
  });

  it('counts on from an attempt that was killed, and keeps of its last steps those that were committed after its last beat', () => {
    const first = clocked();
    first.meter.begins(0, 0);
    first.wait(400);
    for (let step = 1; step <= 10; step++, first.wait(100)) first.meter.stepped(step, 100);
    const beat = JSON.parse(JSON.stringify(first.meter.metered())) as Metered;
    expect(beat.used.ms).toEqual({ preparing: 400, repeated: 1000 });
    // Killed without a checkpoint: all of it is made again. With that of step 6: four tenths of it.
    for (const [step, trained] of [
      [0, 0],
      [6, 600],
      [10, 1000],
    ] as const) {
      expect(settle(beat, step).ms.trained ?? 0).toBeCloseTo(trained, 9);
      const next = clocked(beat);
      next.wait(50);
      next.meter.begins(step, 0);
      const { used } = next.meter.metered();
      expect(used.ms.preparing).toBe(450);
      expect(used.ms.repeated ?? 0).toBeCloseTo(1000 - trained, 9);
      expect(deviceMsIn(used)).toBeCloseTo(1450, 9);
      expect(costOf(used)).toBeCloseTo(1.45, 9);
    }
  });

  it('calls repeated what a crash of the trainer took within an attempt', () => {
    const { meter, wait } = clocked();
    meter.begins(0, 0);
    for (let step = 1; step <= 5; step++, wait(100)) meter.stepped(step, 100);
    meter.at('preparing');
    wait(30);
    meter.begins(0, 0);
    for (let step = 1; step <= 5; step++, wait(100)) meter.stepped(step, 100);
    meter.snapshot(5);
    meter.committed(5);
    expect(meter.metered().used.ms).toEqual({ preparing: 30, repeated: 500, trained: 500 });
  });

  it('keeps aside what an end with a checkpoint takes: by size before one was made, then as long as they took', () => {
    const { meter, wait } = clocked();
    meter.begins(0, 100_000_000);
    // 1.5 s until it is heard, 1 s and 100 MB at 25 MB/s.
    expect(meter.metered().used.reserve).toBeCloseTo(6.5, 9);
    meter.stepped(1, 200);
    meter.snapshot(1);
    wait(300);
    meter.committed(1);
    expect(meter.metered().used.reserve).toBeCloseTo(1.5 + 2 * 0.2 + 2 * 0.3, 9);
  });
});
