import { expect, it } from 'vitest';
import { estimate } from '../../src/commands/estimate.ts';
import { costLinesOf, planCosts, totalCostLines } from '../../src/commands/plan-costs.ts';
import type { Prices } from '../../src/costs/prices.ts';
import { nothingUsed, type Used } from '../../src/costs/used.ts';
import type { DataIndex } from '../../src/data/index/types.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';

const size = { width: 64, depth: 1, mlp: 128, heads: 2 };
const recipe = parseRecipe({
  version: 1,
  model: { vision: { size, patch: 8, resolution: 32 }, text: { size, length: 64 } },
  data: { train: 'data/train' },
  schedule: { total: { steps: 1000 } },
  checkpoint: { every: { steps: 100 }, shard: { steps: 500 } },
  phases: [{ name: 'pretrain', batch: 4, limits: { cost: 3 } }],
});
const prices: Prices = { currency: 'USD', hour: 6, egress: 0.1, writes: 1, reads: 0.5, storage: 0.02 };
const data = { shards: [{ bytes: 4e9 }, { bytes: 1e9 }] } as unknown as DataIndex;

it('a plan tells what a phase costs at a speed: its steps, and the data once', () => {
  const { phases } = estimate(recipe, null, { flops: 1, said: '' });
  // So fast that the steps take an hour.
  const speed = { flops: phases[0]!.flops / 3600, said: '' };
  const found = estimate(recipe, null, speed);
  const [costs] = planCosts(found, speed, prices, () => data);
  expect(costs!.used.cost.trained).toBeCloseTo(6, 9);
  expect(costs!.used.cost.egress).toBeCloseTo(0.5, 9);
  expect(costs!.used.store.writtenBytes).toBe(10 * phases[0]!.bytesPerCheckpoint);
  expect(costs!.unknown).toEqual(['loading and compiling', 'evaluation', 'the number of requests']);
  expect(costLinesOf(costs!, recipe.phases[0]!, 1000)).toEqual([
    '    1.00 h of a device (trained 100.0 %)',
    '    costs about 6.50 USD (trained 6.00, egress 0.500)',
    '    stops at its limit of 3.00 USD, after about 461 of its steps',
  ]);
  expect(totalCostLines([costs!], 5e9, prices)).toEqual([
    'costs about 6.50 USD in all, where nothing is killed',
    'keeping its checkpoints costs 0.100 USD a month',
    'without loading and compiling; evaluation; the number of requests; --speed RUN/PHASE knows most of it',
  ]);
});

it('a plan takes over from a phase that was counted what that needed beside its steps', () => {
  const [phase] = estimate(recipe, null, { flops: 1, said: '' }).phases;
  const used: Used = {
    ...nothingUsed,
    ms: { trained: 1_800_000, preparing: 60_000, committing: 30_000, evaluating: 120_000, repeated: 999_999 },
    store: { reads: 1000, writes: 500, readBytes: 1, writtenBytes: 1 },
  };
  const speed = { flops: phase!.flops / 3600, said: '', recorded: { used, bytesPerCheckpoint: 1 } };
  const [costs] = planCosts(estimate(recipe, null, speed), speed, prices, () => data);
  // Twice as long: twice as many requests. What was repeated is expected of nobody.
  expect(costs!.used.ms).toMatchObject({ preparing: 60_000, committing: 30_000, evaluating: 120_000 });
  expect(costs!.used.ms.repeated).toBeUndefined();
  expect(costs!.used.ms.trained).toBeCloseTo(3_600_000, 3);
  expect(costs!.used.store).toMatchObject({ reads: 2000, writes: 1000, readBytes: 5e9 });
  expect(costs!.used.cost.requests).toBeCloseTo(1 + 1, 9);
  expect(costs!.unknown).toEqual([]);
});

it('a plan without a speed says what tells the cost', () => {
  expect(totalCostLines([], 0, { ...prices, storage: null })).toEqual([
    'what it costs: with --speed, and --price or SIGLIP2_PRICE, the price of an hour of the device',
  ]);
});
