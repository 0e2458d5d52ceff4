import { describe, expect, it } from 'vitest';
import { Pacing } from '../../src/trainer/pacing.ts';

/** Steps of one second, until the first snapshot is due; the clock is in milliseconds. */
function untilDue(pacing: Pacing, clock: { ms: number }, stepMs: (step: number) => number = () => 1000): number {
  for (let step = 1; ; step++) {
    clock.ms += stepMs(step);
    pacing.stepped(stepMs(step), null);
    if (pacing.snapshotDue(step)) return step;
    if (step > 1000) throw new Error('no snapshot is due');
  }
}

describe('a shard whose checkpoints are left to measurement', () => {
  it('takes one after ten seconds of warm steps, and learns from its upload how often they are worth it', () => {
    const clock = { ms: 0 };
    const pacing = new Pacing({ checkpointEvery: 'auto', toStep: 100_000 }, () => clock.ms);
    // The first two steps compile, and don't count.
    const first = untilDue(pacing, clock, (step) => (step <= 2 ? 60_000 : 1000));
    expect(first).toBe(12);
    pacing.taken(2000);
    // Four steps that would have taken four seconds took seven while the upload ran.
    for (let step = 13; step <= 16; step++) {
      expect(pacing.snapshotDue(step)).toBe(false);
      pacing.stepped(1750, null);
    }
    clock.ms += 7000;
    expect(pacing.committed(16, 6)).toEqual({ checkpointEvery: 250, shardSteps: 1500 });
    expect(pacing.end).toBe(1500);
    expect([249, 250, 251, 500].filter((step) => pacing.snapshotDue(step))).toEqual([250, 500]);
    // Later uploads change nothing.
    expect(pacing.committed(300, 99)).toBe(null);
  });

  it('ends where the plan says, when that says where shards are cut', () => {
    const clock = { ms: 0 };
    const pacing = new Pacing({ checkpointEvery: 'auto', shardSteps: 40, toStep: 40 }, () => clock.ms);
    untilDue(pacing, clock);
    pacing.taken(2000);
    pacing.stepped(1000, null);
    clock.ms += 1000;
    expect(pacing.committed(13, 1)).toEqual({ checkpointEvery: 100, shardSteps: 40 });
    expect(pacing.end).toBe(40);
  });

  it('measures batches of each shape without the steps that compile them', () => {
    const clock = { ms: 0 };
    const pacing = new Pacing({ checkpointEvery: 'auto', toStep: 100_000 }, () => clock.ms);
    for (let step = 1; step <= 20; step++) pacing.stepped(step <= 4 ? 30_000 : 500, step % 2);
    expect(pacing.snapshotDue(20)).toBe(false);
    for (let step = 21; step <= 24; step++) pacing.stepped(500, step % 2);
    expect(pacing.snapshotDue(24)).toBe(true);
  });

  it('does not learn from a snapshot that was taken since it had to stop', () => {
    const pacing = new Pacing({ checkpointEvery: 'auto', toStep: 3 }, () => 0);
    pacing.stepped(1000, null);
    pacing.taken(10);
    expect(pacing.committed(3, 1)).toBe(null);
  });

  it('with a number takes one at each multiple', () => {
    const pacing = new Pacing({ checkpointEvery: 10, toStep: 25 });
    expect([5, 10, 15, 20].filter((step) => pacing.snapshotDue(step))).toEqual([10, 20]);
    expect([pacing.end, pacing.committed(12, 1)]).toEqual([25, null]);
  });
});
