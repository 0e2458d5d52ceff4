import { describe, expect, it } from 'vitest';
import { choosePace, plannedPace, type Timings } from '../../src/recipe/pace.ts';
import { recipeSchema } from '../../src/recipe/schema.ts';

/** Share of the time that checkpoints take, and that shards take to end, as the figures say it. */
const share = ({ step, stall, slowed, upload }: Timings) => {
  const { checkpointEvery, shardSteps } = choosePace({ step, stall, slowed, upload });
  return (stall + slowed) / (checkpointEvery * step) + (stall + upload) / (shardSteps * step);
};

describe('how often a phase is checkpointed', () => {
  it('costs within 3 %, ends of shards counted, on small and large models, fast and slow links', () => {
    const cases = {
      demo: { step: 0.16, stall: 0.2, slowed: 0.2, upload: 0.8 },
      s16: { step: 0.7, stall: 1.5, slowed: 5, upload: 7 },
      slowSteps: { step: 90, stall: 2, slowed: 5, upload: 9 },
      gpu: { step: 0.4, stall: 4, slowed: 0.5, upload: 40 },
    };
    for (const [name, timings] of Object.entries(cases)) expect([name, share(timings) <= 0.03]).toEqual([name, true]);
    expect(choosePace(cases.s16)).toEqual({ checkpointEvery: 470, shardSteps: 2350 });
    expect(choosePace(cases.demo)).toEqual({ checkpointEvery: 380, shardSteps: 3800 });
    expect(choosePace(cases.slowSteps)).toEqual({ checkpointEvery: 4, shardSteps: 24 });
  });

  it('is never more often than uploads end, nor than once a minute', () => {
    expect(choosePace({ step: 1, stall: 0.1, slowed: 0, upload: 1800 }).checkpointEvery).toBe(1800);
    expect(choosePace({ step: 0.001, stall: 0, slowed: 0, upload: 0.01 }).checkpointEvery).toBe(60_000);
  });

  it('takes no more for the cost of an upload than the upload took: an outage is none', () => {
    const measured = choosePace({ step: 1, stall: 1, slowed: 3600, upload: 5 });
    expect(measured).toEqual(choosePace({ step: 1, stall: 1, slowed: 5, upload: 5 }));
    expect(choosePace({ step: 1, stall: 0.5, slowed: -7, upload: 1 }).checkpointEvery).toBe(60);
  });

  it('leaves at most ten to a shard, which is when old ones are deleted', () => {
    for (const upload of [0.1, 1, 5, 36, 600, 7200]) {
      const { checkpointEvery, shardSteps } = choosePace({ step: 0.1, stall: 0, slowed: 0, upload });
      expect(shardSteps / checkpointEvery).toBeLessThanOrEqual(10);
      expect(shardSteps * 0.1).toBeLessThanOrEqual(1.05 * Math.max(7200, upload));
    }
  });

  it('is what the recipe says where it says it', () => {
    const checkpoint = (given: object) => plannedPace({ checkpoint: recipeSchema.shape.checkpoint.parse(given) });
    expect(checkpoint({})).toEqual({ checkpointEvery: 'auto', shardSteps: 'auto' });
    expect(checkpoint({ every: { steps: 7 } })).toEqual({ checkpointEvery: 7, shardSteps: 300 });
    expect(checkpoint({ every: { steps: 700 } })).toEqual({ checkpointEvery: 700, shardSteps: 2100 });
    expect(checkpoint({ shard: { steps: 40 } })).toEqual({ checkpointEvery: 'auto', shardSteps: 40 });
  });
});
